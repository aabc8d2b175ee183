# SPDX-License-Identifier: GPL-2.0-or-later
# preclaim: `make help` lists what can be made.

VERSION := $(shell cat VERSION)

PREFIX ?= /usr
DESTDIR ?=
SBINDIR = $(PREFIX)/sbin
# These are where initramfs-tools, dracut, mkinitcpio, udev, systemd, our own hooks and users look, whatever the prefix.
INITRAMFSDIR = /usr/share/initramfs-tools
DRACUTDIR = /usr/lib/dracut/modules.d/90preclaim
INITCPIODIR = /usr/lib/initcpio
LIBDIR = /usr/lib/preclaim
UDEVDIR = /usr/lib/udev/rules.d
SYSTEMDDIR = /usr/lib/systemd/system
MANDIR = /usr/share/man
BASHDIR = /usr/share/bash-completion/completions
ZSHDIR = /usr/share/zsh/$(if $(wildcard /etc/debian_version),vendor-completions,site-functions)
FISHDIR = /usr/share/fish/vendor_completions.d
SYSCONFDIR = /etc

KLCC ?= klcc
HOSTCC ?= gcc
CLANG ?= clang

# What the program is for: LIBC=musl, and CROSS_COMPILE=aarch64-linux-gnu- for another machine
# than this, whose klcc must be the one that is installed. Each kind is built in a folder of its own.
LIBC ?= klibc
CROSS_COMPILE ?=
MUSLCC ?= $(or $(subst -gnu-,-musl-,$(CROSS_COMPILE)),musl-)gcc
OUT = build/$(notdir $(CROSS_COMPILE))$(LIBC)
PROGRAM = $(if $(filter build/klibc,$(OUT)),build/preclaim,$(OUT)/preclaim)
IMPORT = $(PROGRAM)-import

# Asked of the compiler where something is compiled: other targets work without one, and install it.
ARCH = $(firstword $(subst -, ,$(or $(notdir $(CROSS_COMPILE)),$(shell $(HOSTCC) -dumpmachine 2>/dev/null))))
WARNINGS = -Wall -Wextra -Werror -Wstrict-prototypes -Wmissing-prototypes -Wwrite-strings -Wpointer-arith
COMMON = -std=gnu11 -D_GNU_SOURCE -DVERSION='"$(VERSION)"' -MMD -MP
# libgcc's atomic operations for arm64 ask glibc what the processor can.
SMALL_CFLAGS = $(COMMON) $(WARNINGS) -Oz -ffunction-sections -fdata-sections -fno-asynchronous-unwind-tables \
	-fstack-protector-strong $(if $(filter aarch64,$(ARCH)),-mno-outline-atomics) $($(LIBC)_CFLAGS)
SMALL_LDFLAGS = -static -Wl,--gc-sections -Wl,-z,noseparate-code -Wl,-s $($(LIBC)_LDFLAGS)

klibc_CC = $(KLCC)
# Only x86's compilers keep the canary in thread-local storage, which klibc hasn't got, unless told otherwise.
klibc_CFLAGS = $(if $(filter x86_64,$(ARCH)),-mstack-protector-guard=global)
# Nothing in it is read-only after relocation; arm64's pages, of up to 64 KiB, would be padded for it.
klibc_LDFLAGS = -Wl,-z,norelro

musl_CC = $(MUSLCC)
# The kernel's headers do not come with musl: those of the system, where musl has no other of that name.
musl_CFLAGS = -idirafter /usr/include/$(shell $(MUSLCC) -dumpmachine) -idirafter /usr/include

# A compiler makes programs for one kind of machine, whatever it is called.
TARGETCC = $(if $(filter $(ARCH)-%,$(shell $($(LIBC)_CC) -dumpmachine 2>/dev/null)),$($(LIBC)_CC),$(error \
	no compiler for $(or $(ARCH),this machine) with $(LIBC): "$($(LIBC)_CC)" is not there, or for another machine))
SANITIZE = -g -O1 -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
# A program that has gcc's sanitizers in it starts in two thirds of the time; clang always does that.
SANITIZERS_WITHIN = -static-libasan -static-libubsan

SOURCES := $(wildcard src/*.c)
BINARIES = build/preclaim build/san-gcc/preclaim
UNITS := $(patsubst tests/unit/%.c,%,$(wildcard tests/unit/test-*.c))

Q = $(if $(V),,@)
say = $(if $(V),,@echo '  $(1)';)

.PHONY: all help check test test-all soak lint cover fuzz demo bench install dist deb uninstall clean

all: $(PROGRAM) $(IMPORT) ## the program; with LIBC=musl or CROSS_COMPILE=PREFIX- another kind of it

help: ## this list
	$(Q)sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 20

# Each source is compiled once of a kind, for all programs of that kind.
vpath %.c src tests/unit tests/fuzz
$(OUT)/%.o: %.c VERSION Makefile
	$(call say,CC $@)mkdir -p $(@D) && $(TARGETCC) $(SMALL_CFLAGS) -c -o $@ $<
build/san-gcc/%.o: %.c VERSION Makefile
	$(call say,CC $@)mkdir -p $(@D) && $(HOSTCC) $(COMMON) $(WARNINGS) -Wshadow $(SANITIZE) -c -o $@ $<
# What the fuzzer watches does not change what others do.
build/san-clang/%.o: %.c VERSION Makefile
	$(call say,CLANG $@)mkdir -p $(@D) && $(CLANG) $(COMMON) $(WARNINGS) -Wshadow $(SANITIZE) -fsanitize=fuzzer-no-link -c -o $@ $<
build/plain/%.o: %.c VERSION Makefile
	$(call say,CC $@)mkdir -p $(@D) && $(HOSTCC) $(COMMON) $(WARNINGS) -O2 -c -o $@ $<

$(PROGRAM): $(SOURCES:src/%.c=$(OUT)/%.o)
	$(call say,LINK $@)$(TARGETCC) $(SMALL_LDFLAGS) -o $@ $^

# What "preclaim import" runs is looked for beside the program.
$(IMPORT) build/cover/preclaim-import: src/preclaim-import
	$(Q)install -D -m 755 $< $@

build/san-gcc/preclaim: $(SOURCES:src/%.c=build/san-gcc/%.o)
	$(call say,LINK $@)$(HOSTCC) $(SANITIZE) $(SANITIZERS_WITHIN) -o $@ $^

# What can be tested without root and without a boot; sanitizers included.
UNIT_TESTS = $(UNITS:%=build/unit-gcc/%) $(UNITS:%=build/unit-clang/%)
# Programs that tests run, of which the binary shows too little.
SHOWS = build/klibc/show-protect build/unit-gcc/show-protect build/unit-clang/show-protect
FUZZ_TARGETS = rules cmdline facts policy aliases status mounts sysfs
# The longest first, for a run that knows no times of another.
CHECKS = tests/golden.t tests/protect.t tests/around.t tests/completion.t tests/fuzz.t tests/tree.t tests/shell.t tests/needs.t tests/cli.t tests/policy.t tests/fixtures.t tests/docs.t tests/run.t $(UNIT_TESTS) tests/man.t tests/binary.t

# Half of them wait more than they compute: four at a time.
check: all $(UNIT_TESTS) $(SHOWS) build/fuzz/fuzz build/few-faults ## quick tests: no root, no boot
	$(Q)TEST_JOBS=4 PRECLAIM_BINARIES=build/preclaim tests/run $(CHECKS) build/few-faults

# Packages that the targets which set themselves up install.
BUILD_PACKAGES = gcc binutils libc6-dev libklibc-dev
TEST_PACKAGES = $(BUILD_PACKAGES) musl-tools qemu-user-static clang libclang-rt-dev clang-tidy cppcheck shellcheck mount perl git groff-base zsh fish jq valgrind cpio e2fsprogs

test: ## what must hold for every change, boots in QEMU included; installs what it needs
	$(Q)tests/packages $(TEST_PACKAGES)
	$(Q)$(MAKE) --no-print-directory build/preclaim
	$(Q)$(MAKE) --no-print-directory LIBC=musl build/musl/preclaim build/musl/show-protect
	$(Q)$(MAKE) --no-print-directory run-tests

test-all: ## all tests there are, for a release
	$(Q)tests/packages $(TEST_PACKAGES) mmdebstrap
	$(Q)$(MAKE) --no-print-directory build/preclaim
	$(Q)$(MAKE) --no-print-directory LIBC=musl build/musl/preclaim build/musl/show-protect
	$(Q)$(MAKE) --no-print-directory run-all-tests

# Without a boot, beside the set-up for the boots; then what has to do with systems and images.
# The longest first, for a run that knows no times of another.
STILL = tests/lint.t tests/hostile.t tests/valgrind.t $(CHECKS) tests/builds.t tests/world.t
SYSTEMS = tests/hook.t test-qemu/cases/* tests/dracut.t tests/deb.t tests/mkinitcpio.t
TESTED = all $(BINARIES) $(UNIT_TESTS) $(SHOWS) build/fuzz/fuzz build/unit-gcc/hostile

.PHONY: run-tests run-all-tests
run-tests: $(TESTED) build/some-faults
	$(Q)soak=$$(test-qemu/soak-cases 6 1) && PRECLAIM_BINARIES='$(BINARIES)' \
		tests/run test-qemu/setup build/some-faults $(STILL) -- $(SYSTEMS) $$soak
run-all-tests: $(TESTED) build/all-faults
	$(Q)soak=$$(test-qemu/soak-cases 6 1) && PRECLAIM_BINARIES='$(BINARIES)' \
		tests/run test-qemu/setup build/all-faults tests/tidy.t $(STILL) -- tests/release.t tests/deb-states.t tests/arm64.t $(SYSTEMS) test-qemu/more/* $$soak

N ?= 100
soak: ## boot N random machines (100) with random rules and disorder, of the seeds from SEED on
	$(Q)tests/packages $(BUILD_PACKAGES) perl
	$(Q)$(MAKE) --no-print-directory all
	$(Q)test-qemu/setup 6.1 6.1-cloud 6.12
	$(Q)test-qemu/soak $(N) $(SEED)

lint: ## static analysis: gcc -fanalyzer, cppcheck, clang-tidy
	$(Q)tests/run tests/lint.t tests/tidy.t

# Each source is compiled once for all programs, so that it has one set of counts; tests/cover-exit.c
# writes down also those of processes that exit() does not end.
COVER_CFLAGS = $(filter-out -MMD -MP,$(COMMON)) $(WARNINGS) -O0 -g --coverage
COVER_LDFLAGS = --coverage -Wl,--wrap=_exit -Wl,--wrap=pause
COVERED = $(SOURCES:src/%.c=build/cover/%.o)
COVER_UNITS = $(UNITS:%=build/cover/unit/%)
build/cover/%.o: src/%.c $(wildcard src/*.h) VERSION
	$(call say,CC $@)mkdir -p $(@D) && $(HOSTCC) $(COVER_CFLAGS) -c -o $@ $<
build/cover/cover-exit.o: tests/cover-exit.c
	$(call say,CC $@)mkdir -p $(@D) && $(HOSTCC) $(COMMON) $(WARNINGS) -c -o $@ $<
build/cover/preclaim: $(COVERED) build/cover/cover-exit.o
	$(call say,LINK $@)$(HOSTCC) $(COVER_LDFLAGS) -o $@ $^
build/cover/show-protect: tests/unit/show-protect.c $(filter-out %/preclaim.o,$(COVERED)) build/cover/cover-exit.o
	$(call say,LINK $@)$(HOSTCC) $(COMMON) $(WARNINGS) $(COVER_LDFLAGS) -o $@ $^
build/cover/unit/%: tests/unit/%.c tests/unit/model.c tests/fuzz/tree.c $(filter-out %/preclaim.o %/sysfs.o,$(COVERED)) build/cover/cover-exit.o
	$(call say,LINK $@)mkdir -p $(@D) && $(HOSTCC) $(COMMON) $(WARNINGS) $(COVER_LDFLAGS) $(UNIT_WRAPS) -o $@ $^

cover: ## how much of src/ the tests reach that need no boot; fails below 90 % of the branches
	$(Q)tests/packages $(BUILD_PACKAGES) perl gcovr
	$(Q)$(MAKE) --no-print-directory build/cover/preclaim build/cover/preclaim-import build/cover/show-protect build/cover/hostile $(COVER_UNITS)
	$(Q)tests/cover $(COVER_UNITS)

T ?= 60
fuzz: build/fuzz/fuzz ## fuzz each kind of input for T seconds (60); needs clang and its libclang-rt-dev
	$(Q)tests/fuzz/run $(T) $(FUZZ_TARGETS)

bench: ## measure speed and size beside what others need, and print the table; installs what it needs
	$(Q)tests/packages $(TEST_PACKAGES) strace zstd
	$(Q)$(MAKE) --no-print-directory build/preclaim
	$(Q)test-qemu/setup 6.1 6.1-system
	$(Q)tests/run-bench

demo: ## boot a machine without and with preclaim, and show what became of its devices
	$(Q)tests/packages $(BUILD_PACKAGES)
	$(Q)$(MAKE) --no-print-directory build/preclaim
	$(Q)test-qemu/setup 6.12
	$(Q)test-qemu/demo

# The release of Debian that builds it: this machine's, or the oldest that preclaim is for.
SUITE ?= $(or $(shell sed -n 's/^VERSION_CODENAME=\(bookworm\|trixie\)$$/\1/p' /etc/os-release),bookworm)
deb: ## the Debian package, built in a clean Debian SUITE, for ARCHITECTURE: build/deb/SUITE/*.deb
	$(Q)tests/packages mmdebstrap mount
	$(Q)debian/in-chroot $(SUITE) $(ARCHITECTURE)

# By whatever makes the images of this machine; update-initramfs may be dracut's.
RENEW = if command -v update-initramfs >/dev/null; then update-initramfs -u; \
	elif command -v dracut >/dev/null; then dracut --force --regenerate-all; \
	else mkinitcpio -P; fi

install: all ## install below DESTDIR, or here, and then renew the initramfs
	install -D -m 755 $(PROGRAM) $(DESTDIR)$(SBINDIR)/preclaim
	install -m 755 src/preclaim-import $(DESTDIR)$(SBINDIR)/preclaim-import
	install -D -m 755 hook/image $(DESTDIR)$(LIBDIR)/image
	sed -i 's|^program=.*|program=$(SBINDIR)/preclaim|' $(DESTDIR)$(LIBDIR)/image
	install -D -m 755 hook/preclaim $(DESTDIR)$(INITRAMFSDIR)/hooks/preclaim
	install -D -m 755 scripts/init-top/preclaim $(DESTDIR)$(INITRAMFSDIR)/scripts/init-top/preclaim
	install -D -m 644 -t $(DESTDIR)$(DRACUTDIR) hook/dracut/*
	install -D -m 644 -t $(DESTDIR)$(INITCPIODIR)/install hook/mkinitcpio/install/preclaim
	install -D -m 644 -t $(DESTDIR)$(INITCPIODIR)/hooks hook/mkinitcpio/hooks/preclaim
	install -D -m 644 conf/preclaim-initramfs.service $(DESTDIR)$(SYSTEMDDIR)/preclaim-initramfs.service
	install -D -m 644 conf/65-preclaim.rules $(DESTDIR)$(UDEVDIR)/65-preclaim.rules
	install -D -m 644 conf/preclaim.service $(DESTDIR)$(SYSTEMDDIR)/preclaim.service
	sed -i 's|/usr/sbin/preclaim|$(SBINDIR)/preclaim|' $(DESTDIR)$(UDEVDIR)/65-preclaim.rules $(DESTDIR)$(SYSTEMDDIR)/preclaim.service
	install -D -m 644 man/preclaim.8 $(DESTDIR)$(MANDIR)/man8/preclaim.8
	install -D -m 644 man/preclaim.conf.5 $(DESTDIR)$(MANDIR)/man5/preclaim.conf.5
	install -D -m 644 conf/completion/preclaim $(DESTDIR)$(BASHDIR)/preclaim
	install -D -m 644 conf/completion/_preclaim $(DESTDIR)$(ZSHDIR)/_preclaim
	install -D -m 644 conf/completion/preclaim.fish $(DESTDIR)$(FISHDIR)/preclaim.fish
	install -d $(DESTDIR)$(SYSTEMDDIR)/multi-user.target.wants
	ln -sf ../preclaim.service $(DESTDIR)$(SYSTEMDDIR)/multi-user.target.wants/preclaim.service
	install -d $(DESTDIR)$(SYSCONFDIR)/preclaim.d
	test -e $(DESTDIR)$(SYSCONFDIR)/preclaim.conf || \
		install -m 644 conf/preclaim.conf $(DESTDIR)$(SYSCONFDIR)/preclaim.conf
	$(if $(DESTDIR),,$(RENEW))

# Only what is committed, and nothing of who, where and when: the same bytes each time.
DIST ?= build
dist: ## the tarball of a release, from the last commit
	$(Q)mkdir -p $(DIST)
	$(Q)git -c tar.umask=022 archive --prefix=preclaim-$(VERSION)/ HEAD | gzip -9n >$(DIST)/preclaim-$(VERSION).tar.gz

uninstall: ## remove what install installed, but not the rules, and renew the initramfs
	rm -f $(DESTDIR)$(SBINDIR)/preclaim $(DESTDIR)$(SBINDIR)/preclaim-import $(DESTDIR)$(INITRAMFSDIR)/hooks/preclaim
	rm -f $(DESTDIR)$(INITRAMFSDIR)/scripts/init-top/preclaim $(DESTDIR)$(UDEVDIR)/65-preclaim.rules
	rm -f $(DESTDIR)$(BASHDIR)/preclaim $(DESTDIR)$(ZSHDIR)/_preclaim $(DESTDIR)$(FISHDIR)/preclaim.fish
	rm -rf $(DESTDIR)$(LIBDIR) $(DESTDIR)$(DRACUTDIR)
	rm -f $(DESTDIR)$(INITCPIODIR)/install/preclaim $(DESTDIR)$(INITCPIODIR)/hooks/preclaim
	rm -f $(DESTDIR)$(MANDIR)/man8/preclaim.8 $(DESTDIR)$(MANDIR)/man5/preclaim.conf.5
	rm -f $(DESTDIR)$(SYSTEMDDIR)/preclaim-initramfs.service $(DESTDIR)$(SYSTEMDDIR)/preclaim.service $(DESTDIR)$(SYSTEMDDIR)/multi-user.target.wants/preclaim.service
	$(if $(DESTDIR),,$(RENEW))

# The unit tests: each with all of preclaim but main, and the model kernel in place of what reaches the real one.
UNIT_OBJECTS = $(filter-out preclaim.o sysfs.o,$(SOURCES:src/%.c=%.o)) model.o tree.o
UNIT_WRAPS = $(patsubst %,-Wl$(comma)--wrap=%,malloc calloc realloc mmap fork pipe2 execve poll clock_us)
comma = ,
build/unit-gcc/test-%: build/san-gcc/test-%.o $(UNIT_OBJECTS:%=build/san-gcc/%)
	$(call say,LINK $@)mkdir -p $(@D) && $(HOSTCC) $(SANITIZE) $(UNIT_WRAPS) -o $@ $^
build/unit-clang/test-%: build/san-clang/test-%.o $(UNIT_OBJECTS:%=build/san-clang/%)
	$(call say,LINK $@)mkdir -p $(@D) && $(CLANG) $(SANITIZE) $(UNIT_WRAPS) -o $@ $^

# Without sanitizers, which take ten times as long, there is time for every operation there is.
build/all-faults: build/plain/faults.o $(UNIT_OBJECTS:%=build/plain/%)
	$(call say,LINK $@)$(HOSTCC) -static $(UNIT_WRAPS) -o $@ $^
build/few-faults build/some-faults: build/all-faults
	$(Q)ln -f $< $@

# These read a real tree: no model, and all of preclaim but main.
SHOW_OBJECTS = $(filter-out preclaim.o,$(SOURCES:src/%.c=%.o))
$(OUT)/show-%: $(OUT)/show-%.o $(SHOW_OBJECTS:%=$(OUT)/%)
	$(call say,LINK $@)$(TARGETCC) $(SMALL_LDFLAGS) -o $@ $^
build/unit-gcc/show-%: build/san-gcc/show-%.o $(SHOW_OBJECTS:%=build/san-gcc/%)
	$(call say,LINK $@)mkdir -p $(@D) && $(HOSTCC) $(SANITIZE) $(SANITIZERS_WITHIN) -o $@ $^
build/unit-clang/show-%: build/san-clang/show-%.o $(SHOW_OBJECTS:%=build/san-clang/%)
	$(call say,LINK $@)mkdir -p $(@D) && $(CLANG) $(SANITIZE) -o $@ $^

# preclaim with all that it is made of, whose calls of the C library fail as asked.
HOSTILE_CALLS = main malloc calloc realloc strdup mmap fdopendir readdir read write pipe2 fork poll waitpid execve \
	mkdirat mknodat renameat flock socket bind openat close sysfs_open
HOSTILE_LDFLAGS = $(HOSTILE_CALLS:%=-Wl,--wrap=%)
build/unit-gcc/hostile: build/san-gcc/hostile.o $(SOURCES:src/%.c=build/san-gcc/%.o)
	$(call say,LINK $@)mkdir -p $(@D) && $(HOSTCC) $(SANITIZE) $(HOSTILE_LDFLAGS) -o $@ $^
build/cover/hostile: tests/unit/hostile.c $(COVERED) build/cover/cover-exit.o
	$(call say,LINK $@)$(HOSTCC) $(COMMON) $(WARNINGS) $(COVER_LDFLAGS) $(HOSTILE_LDFLAGS) -o $@ $^

# One program, whose name chooses what the input is.
# The tree is not what is looked for: without sanitizers it takes less of the time.
FUZZ_OBJECTS = $(filter-out preclaim.o sysfs.o module.o work.o,$(SOURCES:src/%.c=%.o)) fuzz.o
build/fuzz/fuzz: $(FUZZ_OBJECTS:%=build/san-clang/%) build/plain/tree.o build/plain/still.o
	$(call say,LINK $@)mkdir -p $(@D) && $(CLANG) $(SANITIZE) -fsanitize=fuzzer -o $@ $^
	$(Q)for target in $(FUZZ_TARGETS); do ln -f $@ build/fuzz/$$target; done

# They are made on the way to programs, and kept.
.SECONDARY:

-include $(wildcard $(OUT)/*.d build/san-*/*.d build/plain/*.d)

clean: ## remove what was built, but not the downloaded test systems
	$(Q)rm -rf build/klibc build/musl build/*-klibc build/*-musl build/san-gcc build/san-clang build/plain build/unit-gcc build/unit-clang build/fuzz build/cover build/preclaim build/all-faults build/few-faults build/some-faults
