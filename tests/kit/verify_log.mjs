// Verifies whole logs, evlog/1, from their JSON alone: each file (or stdin) is an array of events as the ledger shows them.
// Exits with 0 if everything verifies, or with 1 after naming the first bad seq of a log. Only a checkpoint shows that the
// end of a log is missing. A later event must name an erased body.
// It shares no code with the server, so that neither hides the other's mistakes.
import { createHash, createPublicKey, verify } from 'node:crypto';
import { readFileSync } from 'node:fs';

const FIELDS = 'body_hash context event_id hash id kid log node payload prev_hash seq signature timestamp type';
const BASE58 = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz';
// The y of the points of small order. For such a key, one signature is valid for every text.
const FIELD = 2n ** 255n - 19n;
const ORDER_8 = 0x05fc536d880238b13933c6d305acdfd5f098eff289f4c345b027b2c28f95e826n;
const SMALL_ORDER = [0n, 1n, FIELD - 1n, ORDER_8, FIELD - ORDER_8];

// RFC 8785. JSON.stringify of a sorted copy would be wrong, because JavaScript puts members like "10" first.
const jcs = (value) => {
  if (Array.isArray(value)) return `[${value.map(jcs)}]`;
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  return `{${Object.keys(value).sort().map((name) => `${JSON.stringify(name)}:${jcs(value[name])}`)}}`;
};
const sha256 = (text) => createHash('sha256').update(text).digest('hex');
const check = (right, what) => { if (!right) throw new Error(what); };

const keys = new Map();
const keyOf = (kid) => {
  if (keys.has(kid)) return keys.get(kid);
  check(/^z[1-9A-HJ-NP-Za-km-z]+$/.test(kid), 'kid is not in base58');
  const number = [...kid.slice(1)].reduce((sum, digit) => sum * 58n + BigInt(BASE58.indexOf(digit)), 0n);
  const [, raw] = /^ed01([0-9a-f]{64})$/.exec(number.toString(16)) ?? [];
  check(raw, 'kid is not an Ed25519 key');
  const bytes = Buffer.from(raw, 'hex');
  const y = BigInt.asUintN(255, BigInt(`0x${Buffer.from(bytes).reverse().toString('hex')}`));
  check(y < FIELD && !SMALL_ORDER.includes(y), 'kid is a key of small order, or not in canonical form');
  const x = bytes.toString('base64url');
  keys.set(kid, createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' }));
  return keys.get(kid);
};
const signed = (kid, text, signature) => {
  const raw = Buffer.from(signature, 'base64');
  return raw.toString('base64') === signature && verify(null, Buffer.from(text), keyOf(kid), raw);
};

const verifyLog = (events) => {
  let kid = String(events[0]?.node).slice('did:key:'.length); // the key in force: at first the one that names the node
  const [node, log] = [`did:key:${kid}`, events[0]?.log];
  const missing = new Map(); // by seq, what a later event must say of it
  let last = { hash: `sha256:${'0'.repeat(64)}`, timestamp: '' };
  for (const [seq, event] of events.entries()) {
    try {
      const { erased, ...rest } = event;
      check(Object.keys(rest).sort().join(' ') === FIELDS, `its fields are not ${FIELDS}`);
      check(event.seq === seq, `seq ${event.seq} is here`);
      check(event.node === node && event.log === log, 'another node or log');
      check(event.prev_hash === last.hash, 'the link is broken');
      check(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/.test(event.timestamp), 'timestamp is not UTC with six digits');
      check(event.timestamp > last.timestamp, 'its time is not later than the one before');
      if ('erased' in event) {
        check(erased === true && jcs([event.payload, event.context]) === '[{},{}]', 'it is erased, but has a body');
        check(!event.type.startsWith('synap.'), 'an event of the server was erased');
        missing.set(seq, jcs({ seq, id: event.event_id, hash: event.hash }));
      } else {
        check(!('data' in event.context), 'context has data');
        const body = jcs({ ...event.context, data: event.payload });
        check(event.body_hash === `sha256:${sha256(body)}`, 'the body was changed');
      }
      const { event_id: id, type, timestamp, prev_hash, body_hash } = event;
      const header = jcs({ v: 'evlog/1', node, kid: event.kid, log, seq, id, type, timestamp, prev_hash, body_hash });
      const hash = sha256(`\0${header}`);
      check(event.hash === `sha256:${hash}` && event.id === `evt_${hash}`, 'the hash was changed');
      check(signed(event.kid, `evlog/event/v1\n${hash}\n`, event.signature), 'the signature is wrong');
      for (const name of type === 'synap.event.erased' ? event.payload.erased : []) {
        if (missing.get(name.seq) === jcs(name)) missing.delete(name.seq);
      }
      const before = kid;
      for (const rotation of type === 'synap.key.rotated' ? event.payload.rotations : []) {
        if (rotation.kid_old !== kid) continue;
        const text = `evlog/rotate/v1\n${node}\n${kid}\n${rotation.kid_new}\n${rotation.rotated_at}\n`;
        check(signed(kid, text, rotation.signature_old), 'the old key did not sign the rotation');
        check(signed(rotation.kid_new, text, rotation.signature_new), 'the new key did not sign the rotation');
        kid = rotation.kid_new;
      }
      check([before, kid].includes(event.kid), 'the key is not in force');
      last = event;
    } catch (error) {
      process.exitCode = 1;
      return `seq ${seq}: ${error.message}`;
    }
  }
  for (const seq of missing.keys()) {
    process.exitCode = 1;
    return `seq ${seq}: the body is missing, and no later event says that it was erased`;
  }
  return `${events.length} events verify`;
};

const files = process.argv.slice(2);
for (const file of files.length ? files : [0]) console.log(verifyLog(JSON.parse(readFileSync(file, 'utf8'))));
