#!/usr/bin/env bash
# Makes a self-signed certificate for development: DIR/cert.pem and DIR/key.pem, valid for 90 days.
#
#   scripts/dev-cert.sh [-f] [-o DIR] [NAME...]
#
# NAMEs are host names or IP addresses, by default localhost, 127.0.0.1 and ::1. DIR is by default conf/tls.
# An existing pair is left alone unless -f is given.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

dir=conf/tls force=no
while getopts fo: option; do
    case $option in
    f) force=yes ;;
    o) dir=$OPTARG ;;
    *)
        echo "usage: dev-cert.sh [-f] [-o DIR] [NAME...]" >&2
        exit 2
        ;;
    esac
done
shift $((OPTIND - 1))
[ $# -gt 0 ] || set -- localhost 127.0.0.1 ::1

if [ "$force" = no ] && { [ -e "$dir/cert.pem" ] || [ -e "$dir/key.pem" ]; }; then
    echo "$dir has a certificate or key already; -f replaces it." >&2
    exit 1
fi
if ! command -v openssl >/dev/null; then
    echo "openssl is missing. Install it with: apt-get install openssl" >&2
    exit 1
fi

names=
for name in "$@"; do
    if [[ $name == *:* || $name =~ ^[0-9.]+$ ]]; then
        names+=",IP:$name"
    else
        names+=",DNS:$name"
    fi
done

mkdir -p "$dir"
umask 077
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -noenc -days 90 -subj "/CN=$1" \
    -addext "subjectAltName=${names#,}" -addext "extendedKeyUsage=serverAuth" \
    -keyout "$dir/key.pem" -out "$dir/cert.pem" 2>/dev/null
chmod 644 "$dir/cert.pem"
echo "Made $dir/cert.pem and $dir/key.pem for $*."
