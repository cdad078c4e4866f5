// The unit that a good HS256 token names, else the empty text.
import crypto from 'crypto';

const secret = '{secret}';

function unit(r) {
    const value = r.headersIn['Authorization'];
    if (!value || !value.startsWith('Bearer ')) {
        return '';
    }

    const parts = value.slice(7).split('.');
    if (parts.length != 3) {
        return '';
    }

    const header = JSON.parse(Buffer.from(parts[0], 'base64url').toString());
    if (header.alg !== 'HS256') {
        return '';
    }

    const made = crypto.createHmac('sha256', secret)
        .update(parts[0] + '.' + parts[1]).digest('base64url');
    if (made !== parts[2]) {
        return '';
    }

    const claims = JSON.parse(Buffer.from(parts[1], 'base64url').toString());
    if (claims.iss !== 'punit' || claims.aud !== 'punit' || !(claims.exp > Date.now() / 1000)) {
        return '';
    }

    return claims.unit;
}

export default { unit };
