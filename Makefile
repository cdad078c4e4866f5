# punit: `make help` lists the targets. Builds into build/, runs in run/.
SHELL := /bin/bash
COMMA := ,
.SHELLFLAGS := -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules

prefix ?= /usr/local
CC     ?= cc
ifeq ($(origin CC),default)
CC := cc
endif

SERVICES := $(shell sed -n 's/^\([a-z][a-z0-9_]*\).*/\1/p' conf/services)
WORKERS  := $(SERVICES) mover gridd
# Beside the ordinary build: SAN=1 builds workers, module and `make static` under ASan and UBSan,
# and `make SAN=1 test` runs tests with them; FAILPOINTS=1 builds the mover with failpoints.
B        := build$(if $(SAN),/san)$(if $(FAILPOINTS),/failpoints)
PROGRAMS := $(WORKERS:%=$(B)/bin/punit-%) $(B)/bin/punitctl
N        := build$(if $(SAN),/san)
MODULE   := $(N)/ngx_http_punit_module.so

# headers of the PostgreSQL of Debian 12, or 13
PG_DEV := postgresql-server-dev-$(if $(shell grep '^VERSION_ID="12"' /etc/os-release),15,17)
BUILD_PACKAGES := build-essential debhelper pkg-config nginx-dev libpcre2-dev zlib1g-dev \
	libssl-dev libpq-dev libjansson-dev libjwt-dev libsodium-dev libmemcached-dev libfcgi-dev \
	libsmartcols-dev libsystemd-dev libcurl4-openssl-dev libkrb5-dev \
	libunistring-dev $(PG_DEV)
RUN_PACKAGES   := nginx postgresql memcached runit openssl curl perl adduser
TEST_PACKAGES  := libcmocka-dev libdbd-pg-perl libnet-dbus-perl dbus libjson-validator-perl \
	libyaml-libyaml-perl cppcheck lintian mandoc procps spin clang-format libperl-critic-perl \
	shellcheck mmdebstrap systemd-container iproute2 logrotate libio-socket-ssl-perl
FUZZ_PACKAGES  := clang libclang-rt-dev
# the load, and the peers that are compared with
BENCH_PACKAGES := wrk haproxy libnginx-mod-http-js libnginx-mod-http-lua libnginx-mod-http-memc \
	lua-cjson lua-luaossl

PKG_LIBS := libpq jansson libjwt libsodium libmemcached libcrypto smartcols libsystemd libcurl
CFLAGS   ?= -O2 -g
SCHEMA_VERSION := -DPUNIT_SCHEMA_VERSION=$(shell sed -n 's/^version //p' sql/VERSION)
RELEASE_DATE := $(shell LC_ALL=C date -u +'%B %-d, %Y' \
	-d "$$(sed -n 's/^ -- .*>  //p' debian/changelog | head -1)")
CPPFLAGS += -D_GNU_SOURCE -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3 -I. -Iworkers \
	-DPUNIT_VERSION='"$(shell cat VERSION)"' \
	-DPUNIT_RELEASE_DATE='"$(RELEASE_DATE)"' $(SCHEMA_VERSION)
WFLAGS   := -std=c17 -Wall -Wextra -Werror -Wshadow -Wvla -fstack-protector-strong -fPIE -pthread
ifdef SAN
CPPFLAGS := $(filter-out -D_FORTIFY_SOURCE=3,$(CPPFLAGS))
WFLAGS   += -fsanitize=address,undefined -fno-omit-frame-pointer -Wno-format-truncation
endif
ifdef FAILPOINTS
CPPFLAGS += -DPUNIT_FAILPOINTS
endif
LDFLAGS  += -pie -Wl,-z,relro,-z,now,--as-needed
LDLIBS    = $(shell pkg-config --libs $(PKG_LIBS)) -lfcgi -lunistring -lm
PKG_CFLAGS = $(shell pkg-config --cflags $(PKG_LIBS))

.PHONY: help deps build module static workers guard pages run stop test unit fuzz lint format \
	openapi model test-debian13 bench chaos commuter bench-deps fuzz-deps install \
	install-workers install-dev release-schema deb clean

help: ## list the targets
	@sed -n 's/^\([a-z0-9-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 15

deps: ## install what is missing of Debian's packages (root or sudo) and make the system user punit
	@$(call install_packages,$(BUILD_PACKAGES) $(RUN_PACKAGES) $(TEST_PACKAGES)) && \
	if [ $$(id -u) = 0 ] && ! id punit >/dev/null 2>&1; then \
	    adduser --quiet --system --group --no-create-home --home /nonexistent punit; fi

define install_packages
	missing=$$(for p in $(1); do \
	    dpkg-query -W -f '$${Status}' $$p 2>/dev/null \
	        | grep -q 'ok installed' || echo $$p; done); \
	asroot=; [ $$(id -u) = 0 ] || asroot=sudo; \
	if [ -n "$$missing" ]; then \
	    echo "installing:" $$missing; \
	    mkdir -p build; \
	    { $$asroot apt-get -q update && \
	    $$asroot env RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive \
	        apt-get -q install -y --no-install-recommends $$missing; } >build/deps.log 2>&1 \
	    || { tail -n 20 build/deps.log; \
	        echo "not installed; all of it: build/deps.log"; false; }; \
	fi
endef

build: module workers guard ## build build/ngx_http_punit_module.so, build/bin/ and build/guard/

module: $(MODULE)

workers: $(PROGRAMS)

# ---- the module, against Debian's packaged nginx (nginx-dev, its own configure flags)
NGINX_SRC := /usr/share/nginx/src
# one at a time: two builds at once (make run beside make test) would undo each other's tree; not
# build/.lock, which demo/units holds around `make install`
LOCKED := mkdir -p build && flock build/.nginx.lock bash -o pipefail -c
NGINX_CC_OPT := -g -fPIC -Wall -Wextra -Wno-unused-parameter \
	$(if $(SAN),-O1 -fsanitize=address$(COMMA)undefined -fno-omit-frame-pointer,\
	-O2 -D_FORTIFY_SOURCE=2 -fstack-protector-strong)
NGINX_LD_OPT := $(if $(SAN),-fsanitize=address$(COMMA)undefined)
CONFIGURE := [ $(N)/nginx/.configured -nt config ] || { set -e; \
	rm -rf $(N)/nginx; mkdir -p $(N); cp -r $(NGINX_SRC) $(N)/nginx; \
	cd $(N)/nginx; source ./conf_flags; bash ./configure "$${NGX_CONF_FLAGS[@]}" \
	--with-cc-opt="$(NGINX_CC_OPT)" $(if $(SAN),--with-ld-opt="$(NGINX_LD_OPT)") \
	--add-dynamic-module=$(CURDIR) >configure.log 2>&1 \
	|| { tail -20 configure.log; exit 1; }; touch .configured; }
$(N)/nginx/.configured: config
	$(LOCKED) '$(CONFIGURE)'

MODULE_FILES := $(wildcard ngx_punit_module/*.[ch] ngx_punit_module/*/*.[ch])
$(MODULE): $(N)/nginx/.configured $(MODULE_FILES)
	$(LOCKED) '$(MAKE) -C $(N)/nginx -s -f objs/Makefile modules \
	    && cp $(N)/nginx/objs/ngx_http_punit_module.so $@'

# ---- and as a part of an nginx that is built from source. Under SAN its pools come from malloc, so
# that ASan sees each edge. nginx itself copies nothing from NULL and reads words at odd addresses,
# which is not looked at here.
static: ## an nginx with the module, of NGINX_SOURCE=DIR (apt-get source nginx), in build/static
	@[ -f "$(NGINX_SOURCE)/src/core/nginx.h" ] \
	    || { echo 'NGINX_SOURCE: expected the source of nginx'; exit 1; }
	rm -rf $(N)/static && mkdir -p $(N)/static && cp -r $(NGINX_SOURCE) $(N)/static/source
	cd $(N)/static/source \
	    && { [ -x configure ] && ./configure $(STATIC_CONF) \
	    || ./auto/configure $(STATIC_CONF); } \
	    >../configure.log \
	    && $(MAKE) -s -f objs/Makefile binary && cp objs/nginx ..
STATIC_CONF = --add-module=$(CURDIR) --with-http_ssl_module --with-http_v2_module \
	--with-http_auth_request_module --with-threads --with-http_realip_module \
	--with-cc-opt="$(NGINX_CC_OPT) $(if $(SAN),-DNGX_DEBUG_PALLOC=1 \
	-fno-sanitize=nonnull-attribute$(COMMA)alignment)" --with-ld-opt="$(NGINX_LD_OPT)"

# ---- workers
LIB_OBJECTS := $(patsubst %.c,$(B)/obj/%.o,$(wildcard workers/lib/*/*.c))

$(B)/obj/%.o: %.c VERSION sql/VERSION
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) $(WFLAGS) $(PKG_CFLAGS) -MMD -MP -c $< -o $@

$(B)/lib/libpunit.a: $(LIB_OBJECTS)
	@mkdir -p $(@D)
	rm -f $@ && ar rcs $@ $^

define program
$(1): $$(patsubst %.c,$(B)/obj/%.o,$$(wildcard $(2)/*.c $(2)/*/*.c)) $(B)/lib/libpunit.a
	@mkdir -p $$(@D)
	$$(CC) $$(CFLAGS) $$(WFLAGS) $$(LDFLAGS) $$^ $$(LDLIBS) -o $$@
endef
$(foreach w,$(WORKERS),$(eval $(call program,$(B)/bin/punit-$(w),workers/$(w))))
$(eval $(call program,$(B)/bin/punitctl,punitctl))

-include $(wildcard $(addprefix $(B)/obj/,workers/*/*.d workers/*/*/*.d \
	punitctl/*.d punitctl/*/*.d))

# ---- the library of PostgreSQL, for each version whose headers are here. The headers of PostgreSQL
# are not ours to warn about.
PG_VERSIONS := $(patsubst /usr/include/postgresql/%/server/postgres.h,%,$(wildcard \
	$(addsuffix /server/postgres.h,$(addprefix /usr/include/postgresql/,15 16 17))))
GUARDS      := $(PG_VERSIONS:%=build/guard/%/punit_guard.so)
guard: $(GUARDS)

build/guard/%/punit_guard.so: guard/punit_guard.c guard/refusals.c guard/refusals.h
	@mkdir -p $(@D)
	$(CC) -D_GNU_SOURCE $(CFLAGS) -std=gnu17 -Wall -Wextra -Werror -Wshadow \
	    -Wno-unused-parameter -Wno-sign-compare -fstack-protector-strong -fPIC -I. -isystem \
	    /usr/include/postgresql/$*/server $(filter-out -pie,$(LDFLAGS)) -shared \
	    $(filter %.c,$^) -o $@

# ---- unit tests: each t/unit/*_test.c is one program; its first lines name what it links:
#      /* links: ngx_punit_module/x.c workers/lib/http/y.c */
UNIT_TESTS := $(patsubst t/unit/%.c,build/unit/%,$(wildcard t/unit/*_test.c))
UNIT_SOURCES := $(MODULE_FILES) $(wildcard workers/*/*.[ch] workers/*/*/*.[ch]) \
	$(filter-out %_test.c,$(wildcard t/unit/*.[ch]))
build/unit/%: t/unit/%.c $(UNIT_SOURCES) | $(N)/nginx/.configured
	@mkdir -p $(@D)
	links=$$(sed -n 's|^/\* links: \(.*\) \*/$$|\1|p' $<); \
	$(CC) -D_GNU_SOURCE $(SCHEMA_VERSION) -Iworkers $(MODULE_INCLUDES) $(NGINX_INCLUDES) \
	    $(CFLAGS) -fsanitize=address,undefined -std=gnu17 -Wall -Wextra -Wno-unused-parameter \
	    $(PKG_CFLAGS) $< $$links -lcmocka $(LDLIBS) -lssl -pthread -o $@
MODULE_INCLUDES := $(addprefix -I,$(sort $(dir $(MODULE_FILES))))
NGINX_INCLUDES := $(addprefix -I$(N)/nginx/,src/core src/event src/event/modules src/os/unix \
	src/http src/http/modules src/http/v2 src/event/quic src/http/v3 objs)

unit: $(UNIT_TESTS) ## tests of single files (cmocka)
	@for t in $(UNIT_TESTS); do $$t || exit 1; done

# an issuer of tokens that shares no code with the module
build/t/jwt_issue: t/lib/jwt_issue.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) $(WFLAGS) $(PKG_CFLAGS) $(LDFLAGS) $< -ljwt -o $@

# ---- fuzzers: t/fuzz/<name>_fuzz.c, linked like the unit tests, corpus in t/fuzz/corpus/<name>
FUZZERS := $(patsubst t/fuzz/%.c,build/fuzz/%,$(wildcard t/fuzz/*_fuzz.c))
FUZZ_SECONDS ?= 60
build/fuzz/%: t/fuzz/%.c $(MODULE_FILES) $(wildcard t/unit/*.[ch]) | $(N)/nginx/.configured
	@mkdir -p $(@D)
	links=$$(sed -n 's|^/\* links: \(.*\) \*/$$|\1|p' $<); \
	clang -D_GNU_SOURCE $(MODULE_INCLUDES) $(NGINX_INCLUDES) -O1 -g \
	    -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined \
	    $< $$links -ljansson -lcrypto -o $@

fuzz: fuzz-deps $(FUZZERS) ## each fuzzer for FUZZ_SECONDS (60); findings stay in build/fuzz/
	@for f in $(FUZZERS); do name=$$(basename $$f _fuzz); mkdir -p build/fuzz/corpus/$$name; \
	    echo "$$name: $(FUZZ_SECONDS) s"; \
	    $$f -max_total_time=$(FUZZ_SECONDS) -max_len=4096 -print_final_stats=1 -verbosity=0 \
	        -close_fd_mask=1 -artifact_prefix=build/fuzz/$$name- \
	        build/fuzz/corpus/$$name t/fuzz/corpus/$$name 2>&1 \
	        | grep -E '^stat::(number|new)|^==.*ERROR|^SUMMARY|Test unit' || exit 1; done

fuzz-deps:
	@$(call install_packages,$(FUZZ_PACKAGES))

# ---- manual pages (mdoc) and the completion of a shell, from the tables of the programs
PAGES := punitctl.1 unit.env.5 punit.7 $(WORKERS:%=punit-%.8)
pages: $(PAGES:%=build/man/%) build/completion/punitctl ## manual pages and completion, in build/

build/man/punitctl.1 build/completion/punitctl: $(B)/bin/punitctl
	@mkdir -p $(@D)
	$< $(if $(filter %.1,$@),man,completion bash) >$@

build/man/unit.env.5: doc/man/settings conf/unit.env VERSION debian/changelog
	@mkdir -p $(@D)
	doc/man/settings conf/unit.env '$(RELEASE_DATE)' '$(shell cat VERSION)' >$@

build/man/%: doc/man/page doc/man/%.in conf/services VERSION debian/changelog
	@mkdir -p $(@D)
	doc/man/page doc/man/$*.in '$(RELEASE_DATE)' '$(shell cat VERSION)' $(WORKERS) >$@

$(SERVICES:%=build/man/punit-%.8): build/man/punit-%.8: doc/man/page doc/man/punit-service.8.in \
		conf/services VERSION debian/changelog
	@mkdir -p $(@D)
	doc/man/page doc/man/punit-service.8.in '$(RELEASE_DATE)' '$(shell cat VERSION)' $* >$@

# ---- running
run: deps ## start units eu, us, ap under run/ and show a user crossing a border
	@echo "building (the lines of the compiler are in build/build.log)"; mkdir -p build; \
	$(MAKE) --no-print-directory -j$$(nproc) build >build/build.log 2>&1 \
	    || { tail -n 20 build/build.log; echo "not built; all of it: build/build.log"; false; }
	@demo/units up --dir run --port 8100 --env PUNIT_MOVE_DWELL=1s --env PUNIT_MOVE_QUIET=1s \
	    eu us ap
	@echo; demo/crossing --dir run
	@echo; demo/units show --dir run

stop: ## end what `make run` started
	@demo/units down --dir run

# Debian's nginx is built without sanitizers: their libraries are in its environment
SAN_TEST = $(if $(SAN),PUNIT_BIN=$(CURDIR)/$(B)/bin PUNIT_MODULE=$(CURDIR)/$(MODULE) \
	PUNIT_PRELOAD=$$($(CC) -print-file-name=libasan.so):$$($(CC) -print-file-name=libubsan.so))
test: deps build build/t/jwt_issue ## all tests: they start and stop servers of their own
	@$(MAKE) -s --no-print-directory unit
	$(SAN_TEST) prove -r -j2 --timer --state=save -It/lib $(if $(TESTS),$(TESTS),t/)

# T=all: every test. TESTS: these ones. Neither: build, unit tests, a crossing, and what only the
# newer PostgreSQL can do.
RELEASE_PACKAGES := mmdebstrap systemd-container
RELEASE_SLICE := make -s unit && make run && build/bin/punitctl status --dir run/eu && make stop \
	&& prove -It/lib t/units/failover.t t/units/punitctl-init.t
test-debian13: ## the same on Debian 13, in a root of it (T=all: all tests; else a slice of them)
	@$(call install_packages,$(RELEASE_PACKAGES))
	t/system/release trixie bash -c 'make -s -j2 build && $(if $(TESTS)$(filter all,$(T)),make \
	    test TESTS="$(TESTS)",$(RELEASE_SLICE))'

chaos: deps build ## faults of every kind while clients write; t/chaos/run says what may be set
	t/chaos/run

commuter: deps build ## 200 users cross every few seconds for 5 minutes: no request may fail
	t/chaos/commuter

model: ## check the hand-over's model with spin: correct runs in full, each mutant found
	t/model/check

# ---- lint: each check of t/lint prints its findings as "file:line: what"
LINT         := circles critic cppcheck deadlines folders format includes perl prose services \
	shell size spacing width
FILES         = $(filter-out t/fuzz/corpus/% %.json %.gz,$(wildcard \
	$(shell git ls-files --cached --others --exclude-standard 2>/dev/null \
	    || find . -type f -printf '%P\n')))
FILES_C       = $(filter %.c %.h,$(FILES))
FILES_FORMAT  = $(filter-out ngx_punit_module/%,$(FILES_C))
FILES_PERL    = $(filter %.t %.pm,$(FILES)) \
	$(shell grep -lsE '^\#!.*\<perl\>' $(filter-out %.t,$(FILES)))
FILES_SHELL   = $(shell grep -lsE '^\#!.*\<(ba)?sh\>' $(FILES))
CPPCHECK     := cppcheck --quiet --error-exitcode=1 --std=c11 --inline-suppr -j2 \
	--enable=warning,portability --suppress=missingIncludeSystem

lint: $(LINT:%=lint-%) ## style, layers and faults that tools find in C, Perl, SQL and shell

.PHONY: $(LINT:%=lint-%)

lint-width lint-spacing lint-size lint-folders: lint-%:
	@t/lint/$* $(FILES)

# the check itself and its test hold the words that it forbids
lint-prose:
	@t/lint/prose $(filter-out t/lint/prose t/system/prose.t,$(FILES))

# the test of the check holds what it forbids
lint-deadlines:
	@t/lint/deadlines $(filter-out t/system/lint.t,$(FILES))

lint-includes:
	@t/lint/includes $(FILES_C)

lint-format:
	@t/lint/format $(FILES_FORMAT)

# Of nginx's many configurations the one of this build is looked at. cppcheck takes no heed of goto,
# so what it says about checks for NULL is not true of the module.
lint-cppcheck: $(N)/nginx/.configured
	@mkdir -p build/lint/workers build/lint/module
	$(CPPCHECK) --cppcheck-build-dir=build/lint/workers -I. -Iworkers workers punitctl
	$(CPPCHECK) --cppcheck-build-dir=build/lint/module --max-configs=1 -D__linux__ \
	    -D__x86_64__ -D__GNUC__ --suppress='*:$(N)/nginx/*' \
	    --suppress=nullPointerRedundantCheck \
	    $(MODULE_INCLUDES) $(NGINX_INCLUDES) ngx_punit_module

lint-perl:
	@printf '%s\n' $(FILES_PERL) | xargs -P2 -n1 perl -It/lib -Ibench/lib -c 2>&1 \
	    | { ! grep -v 'syntax OK$$'; }

lint-critic:
	@printf '%s\n' $(FILES_PERL) | xargs -P2 -n12 perlcritic --quiet --profile .perlcriticrc

lint-services:
	t/lint/services

lint-shell:
	@shellcheck $(FILES_SHELL)

# the module's objects are those of the last build
lint-circles: $(MODULE) $(PROGRAMS)
	@t/lint/circles $(N)/nginx/objs/addon $(WORKERS:%=$(B)/obj/workers/%) $(B)/obj/workers/lib \
	    $(B)/obj/punitctl

format: ## C outside the module as .clang-format says, and blanks
	clang-format -i $(FILES_FORMAT)
	t/lint/spacing --fix $(FILES_C) $(FILES_PERL)

# t/worker/openapi.t holds it against the services
openapi: ## doc/openapi.yaml by the schema of OpenAPI 3.1, with a tool of npm
	@command -v npx >/dev/null || { $(call install_packages,npm); }
	npx --yes --package=@seriousme/openapi-schema-validator@2 -- validate-api doc/openapi.yaml

BENCH_PROGRAMS := build/bench/responder build/bench/floor
bench: deps bench-deps build $(BENCH_PROGRAMS) ## ratios of one run, into bench/results.json
	bench/run

bench-deps:
	@$(call install_packages,$(BENCH_PACKAGES))

build/bench/responder: bench/responder.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) $(WFLAGS) $(LDFLAGS) $< -lfcgi -o $@

build/bench/floor: bench/floor.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) $(WFLAGS) $(PKG_CFLAGS) $(LDFLAGS) $< -lpq -o $@

install: build install-workers ## install into $(DESTDIR)$(prefix)
	install -d $(DESTDIR)$(prefix)/lib/nginx/modules
	install -m 644 $(MODULE) $(DESTDIR)$(prefix)/lib/nginx/modules/

# all but the module, which debian/rules builds in another way
install-workers: workers guard pages
	install -d $(DESTDIR)$(prefix)/{bin,share/punit/sql,share/punit/conf}
	install -D -m 644 -t $(DESTDIR)$(prefix)/share/bash-completion/completions \
	    build/completion/punitctl
	for page in $(PAGES); do \
	    install -D -m 644 -t $(DESTDIR)$(prefix)/share/man/man$${page##*.} build/man/$$page \
	        || exit 1; done
	install -m 755 $(PROGRAMS) $(DESTDIR)$(prefix)/bin/
	for v in $(PG_VERSIONS); do \
	    install -D -m 644 -t $(DESTDIR)$(prefix)/lib/punit/$$v build/guard/$$v/punit_guard.so \
	        || exit 1; done
	cp -r sql/. $(DESTDIR)$(prefix)/share/punit/sql/
	cp -r conf/. $(DESTDIR)$(prefix)/share/punit/conf/
	rm -rf $(DESTDIR)$(prefix)/share/punit/schema
	mv $(DESTDIR)$(prefix)/share/punit/conf/schema $(DESTDIR)$(prefix)/share/punit/
	sed -i -e 's/@SERVICES@/$(SERVICES:%=punit@%.service)/' \
	    -e 's/@SOCKETS@/$(SERVICES:%=punit@%.socket)/' \
	    $(DESTDIR)$(prefix)/share/punit/conf/systemd/punit.target
	awk -v all='$(SERVICES)' 'BEGIN { n = split(all, name) } \
	    /^[^#].*@SERVICE@/ { for (i = 1; i <= n; i++) { \
	        line = $$0; gsub(/@SERVICE@/, name[i], line); print line }; next } 1' \
	    conf/sysusers/punit.conf >$(DESTDIR)$(prefix)/share/punit/conf/sysusers/punit.conf
	for s in $(SERVICES); do \
	    install -D -m 644 workers/$$s/locations.conf \
	        $(DESTDIR)$(prefix)/share/punit/workers/$$s/locations.conf || exit 1; done

# for services of others: headers, the library, and what pkg-config says about them
libdir ?= $(prefix)/lib
install-dev: $(B)/lib/libpunit.a
	install -d $(DESTDIR)$(libdir)/pkgconfig
	install -m 644 $(B)/lib/libpunit.a $(DESTDIR)$(libdir)/
	for h in workers/lib/*/*.h; do \
	    install -D -m 644 $$h $(DESTDIR)$(prefix)/include/punit/$${h#workers/} || exit 1; done
	sed -e 's|@prefix@|$(prefix)|' -e 's|@libdir@|$(libdir)|' \
	    -e "s|@version@|$$(cat VERSION)|" \
	    -e 's|@libraries@|$(filter-out smartcols,$(PKG_LIBS))|' \
	    workers/lib/punit.pc.in >$(DESTDIR)$(libdir)/pkgconfig/punit.pc

# t/sql/schema.t upgrades from it
release-schema: ## keep sql/ as it is now as the schema of release VERSION
	@mkdir -p t/sql/release
	tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -c sql \
	    | gzip -9n >t/sql/release/$$(cat VERSION).tar.gz

# ---- Debian packages, built from a copy: debian/rules cleans its tree
DEB_SOURCE := build/deb/punit
deb: ## Debian packages of the programs and of the module, in build/deb/
	@mkdir -p build && flock build/.deb.lock $(MAKE) -s --no-print-directory build/deb/.made

# tests ask for them at the same time
build/deb/.made: $(filter-out t/% bench/% demo/% .ci/%,$(FILES))
	rm -rf build/deb && mkdir -p $(DEB_SOURCE)
	tar -c --exclude=./build --exclude=./run --exclude=./.git . | tar -x -C $(DEB_SOURCE)
	cd $(DEB_SOURCE) && env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS \
	    DEB_BUILD_OPTIONS="noautodbgsym parallel=$$(nproc)" dpkg-buildpackage -b -us -uc
	touch $@

clean: ## remove build/
	rm -rf build
