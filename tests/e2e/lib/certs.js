// Certificates for tests, made by openssl in a folder that is removed with `t`.
//
//   const certs = makeCertificates(t);
//   certs.pair('chat.example.com')          // { certificate, private_key }: paths, self-signed
//   certs.authority()                       // path of a new authority's certificate, for client_ca
//   certs.client('Ann', 'Weir')             // { cert, key } as PEM, signed by the last authority
'use strict';

const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

function makeCertificates(t) {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'weir-certs-'));
  t.after(() => fs.rmSync(dir, { recursive: true, force: true }));
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-noenc'];
  const openssl = (...args) => execFileSync('openssl', args, { cwd: dir, stdio: ['ignore', 'pipe', 'pipe'] });
  let count = 0;
  let authority;

  return {
    dir,
    pair(name) {
      const file = `${++count}`;
      openssl('req', '-x509', ...key, '-days', '2', '-subj', `/CN=${name}`, '-addext', `subjectAltName=DNS:${name}`, '-keyout', `${file}.key`, '-out', `${file}.pem`);
      return { certificate: path.join(dir, `${file}.pem`), private_key: path.join(dir, `${file}.key`) };
    },
    authority() {
      authority = `${++count}`;
      openssl('req', '-x509', ...key, '-days', '2', '-subj', `/CN=Authority ${authority}`, '-keyout', `${authority}.key`, '-out', `${authority}.pem`);
      return path.join(dir, `${authority}.pem`);
    },
    client(name, organisation) {
      const file = `${++count}`;
      openssl('req', ...key, '-subj', `/O=${organisation}/CN=${name}`, '-keyout', `${file}.key`, '-out', `${file}.csr`);
      openssl('x509', '-req', '-in', `${file}.csr`, '-CA', `${authority}.pem`, '-CAkey', `${authority}.key`, '-CAcreateserial', '-days', '2', '-out', `${file}.pem`);
      return { cert: fs.readFileSync(path.join(dir, `${file}.pem`)), key: fs.readFileSync(path.join(dir, `${file}.key`)) };
    },
  };
}

module.exports = { makeCertificates };
