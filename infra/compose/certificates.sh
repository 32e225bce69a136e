#!/bin/sh
# Creates an authority for the sample and a certificate for each of its servers in infra/compose/tls, valid for one year.
set -eu
cd "$(dirname "$0")"
mkdir -p tls
cd tls
key='-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes'
openssl req -x509 $key -keyout ca.key -out ca.pem -days 365 -subj '/CN=MyLab Sync sample' \
  -addext keyUsage=critical,keyCertSign,cRLSign 2>/dev/null
for name in source target redis dashboard; do
  openssl req $key -keyout "$name.key" -out "$name.csr" -subj "/CN=$name" \
    -addext "subjectAltName=DNS:$name,DNS:localhost,IP:127.0.0.1" 2>/dev/null
  openssl x509 -req -in "$name.csr" -CA ca.pem -CAkey ca.key -CAcreateserial -days 365 -copy_extensions copyall \
    -out "$name.pem" 2>/dev/null
  rm "$name.csr"
done
chmod 600 ./*.key
# no longer needed: each run creates a new authority
rm ca.key ca.srl
