#!/bin/sh
# Installs what is missing of the named sections of scripts/packages.txt. Silent and offline when nothing is missing; asks nothing.
set -eu

list="$(dirname "$0")/packages.txt"
if [ $# -eq 0 ]; then
  echo "install_packages.sh: expected sections of $list (build, test, fuzz, lint, gpu); got none" >&2
  exit 2
fi

wanted=""
for section in "$@"; do
  found=$(awk -v section="[$section]" '/^\[/ {on = ($1 == section)} on && /^[a-z]/ {print $1}' "$list")
  if [ -z "$found" ]; then
    echo "install_packages.sh: expected a section of $list; got $section" >&2
    exit 2
  fi
  wanted="$wanted $found"
done

if ! command -v dpkg-query >/dev/null 2>&1; then
  echo "install_packages.sh: not a Debian or Ubuntu system; these packages, or their like, must be there:" $wanted >&2
  exit 0
fi

missing=""
for package in $wanted; do
  case " $missing " in *" $package "*) continue ;; esac
  status=$(dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null | head -n 1 || true)
  [ "$status" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

as_root=""
if [ "$(id -u)" -ne 0 ]; then
  if ! command -v sudo >/dev/null 2>&1; then
    echo "install_packages.sh: missing$missing; as root run: apt-get install -y$missing" >&2
    exit 1
  fi
  as_root="sudo"
  # Without a terminal nobody can type a password: fail with the command instead of waiting.
  if ! sudo -n true 2>/dev/null && [ ! -t 0 ]; then
    echo "install_packages.sh: missing$missing; run: sudo apt-get install -y$missing" >&2
    exit 1
  fi
fi

apt() {
  $as_root env DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=a apt-get -q -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 "$@"
}

echo "installing$missing"
apt update </dev/null || echo "install_packages.sh: apt-get update failed; trying with the lists at hand" >&2
apt install -y --no-install-recommends $missing </dev/null
