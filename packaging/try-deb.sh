#!/bin/sh
# Installs the Debian package on this machine, lets the service's command work as the service's user, and removes it again.
# Takes the package's path, or makes it: that is a release build. Needs root, a system of Debian's kind and, to make it, cargo-deb.
set -eu

say() { echo "== $*"; }
fail() { echo "try-deb: $*" >&2; exit 1; }

[ "$(id -u)" = 0 ] || fail "only root installs packages"
state=/var/lib/pcap-compactor log=/var/log/pcap-compactor settings=/etc/pcap-compactor/sensor.toml
[ ! -e $state ] && [ ! -e $log ] && [ ! -e /etc/pcap-compactor ] || fail "a watcher is installed here; its records are not for trying"

work=$(mktemp -d)
watcher=
clean() {
    [ -z "$watcher" ] || kill "$watcher" 2> /dev/null || true
    dpkg --purge pcap-compactor > /dev/null 2>&1 || true
    # All that stands here was made below.
    rm -rf "$work" $state $log
}
trap clean EXIT
trap 'exit 130' INT TERM

package=${1:-}
if [ -z "$package" ]; then
    say "makes the package"
    cargo deb --manifest-path "$(dirname "$0")/../Cargo.toml" --output "$work/" > /dev/null
    package=$(echo "$work"/*.deb)
fi
if command -v lintian > /dev/null; then
    say "lintian"
    # It is not for Debian's own archive, which would want to be told of it.
    lintian --allow-root --fail-on error,warning --suppress-tags initial-upload-closes-no-bugs "$package"
fi

say "installs it"
dpkg --install "$package"
dpkg --listfiles pcap-compactor | while read -r path; do [ -e "$path" ] || fail "$path is not there"; done
pcap-compactor --version
id pcap-compactor
say "systemd-analyze"
unit=/usr/lib/systemd/system/pcap-compactor.service
systemd-analyze verify $unit
man --warnings --local-file /usr/share/man/man1/pcap-compactor.1.gz > /dev/null

say "works as the user of the unit"
run=$(sed -n 's/^ExecStart=//p' $unit)
# As the unit has it.
install -d -m 750 -o pcap-compactor -g pcap-compactor $state $state/captures $state/captures/gate $state/records $log
as_user() { setpriv --reuid pcap-compactor --regid pcap-compactor --init-groups --no-new-privs "$@"; }
for hour in 13 14; do
    pcap-compactor -q synth "$work/$hour.pcap" --packets 20000 --hours 1 --hour 2023-10-19T$hour > /dev/null
done
(umask 027 && exec setpriv --reuid pcap-compactor --regid pcap-compactor --init-groups --no-new-privs $run) &
watcher=$!
# The second says that the hour of the first is over.
for hour in 13 14; do
    install -m 640 -o pcap-compactor -g pcap-compactor "$work/$hour.pcap" $state/$hour.pcap
    mv $state/$hour.pcap $state/captures/gate/
done
tries=0
until ls $state/records/groups/gate/*/*/*/*.jsonl > /dev/null 2>&1; do
    tries=$((tries + 1))
    [ $tries -lt 300 ] || fail "no record in 30 s: $(cat $log/*)"
    sleep 0.1
done
as_user pcap-compactor status $state/records
kill $watcher
wait $watcher || fail "it ended with $?"
watcher=
wc $state/records/groups/gate/*/*/*/*.jsonl
[ -z "$(find $state $log ! -user pcap-compactor)" ] || fail "not all is its user's"

say "removes it"
dpkg --remove pcap-compactor
[ -e $settings ] || fail "the settings are gone, and the package was not purged"
dpkg --purge pcap-compactor
for path in /usr/bin/pcap-compactor $unit /etc/pcap-compactor /usr/lib/sysusers.d/pcap-compactor.conf /usr/share/doc/pcap-compactor; do
    [ ! -e $path ] || fail "$path is left"
done
[ -z "$(find /etc/systemd/system /var/lib/systemd -name 'pcap-compactor*')" ] || fail "systemd has something of it still"
[ -e $state/records ] || fail "records are gone"
say "all is as it should be; the user and its records stay"
