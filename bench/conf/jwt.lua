-- HS256 with Debian's lua-luaossl and lua-cjson: each() verifies, cached() keeps the verdict until
-- the token's end.
local base64 = require "ngx.base64"
local cjson = require "cjson.safe"
local hmac = require "openssl.hmac"

local secret = "{secret}"
local verdicts = ngx.shared.verdicts

local function bearer()
    local value = ngx.var.http_authorization
    return value and string.match(value, "^Bearer (.+)$") or ngx.exit(401)
end

local function verify(token)
    local header, payload, signature = string.match(token, "^([^.]+)%.([^.]+)%.([^.]+)$")
    if not header then
        return ngx.exit(401)
    end
    local head = cjson.decode(base64.decode_base64url(header) or "")
    if not head or head.alg ~= "HS256" then
        return ngx.exit(401)
    end
    local made = hmac.new(secret, "sha256"):final(header .. "." .. payload)
    if base64.encode_base64url(made) ~= signature then
        return ngx.exit(401)
    end
    local claims = cjson.decode(base64.decode_base64url(payload) or "")
    if not claims or claims.iss ~= "punit" or claims.aud ~= "punit"
        or not (claims.exp > ngx.time()) then
        return ngx.exit(401)
    end
    return claims
end

local function each()
    return verify(bearer()).unit
end

local function cached()
    local token = bearer()
    local unit = verdicts:get(token)
    if unit then
        return unit
    end
    local claims = verify(token)
    verdicts:set(token, claims.unit, claims.exp - ngx.time())
    return claims.unit
end

return { each = each, cached = cached }
