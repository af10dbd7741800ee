#!/usr/bin/env node
// Verifies an export of a log (evlog/1, docs/reference/evlog1.md), a receipt (docs/reference/receipts.md), or a proof: that
// one event is in a log, that witnesses saw it there (docs/reference/tlog-proof.md), or that a log extends an earlier
// checkpoint. It runs in node 20 or later and in browsers, and needs only this file. It shares no code with the server, so
// that neither hides the other's mistakes.
//
//   import { verifyBundle, verifyProof } from './verify.mjs';
//   const { broken } = await verifyBundle(text);
//
//   node verify.mjs FILE|URL

const BUNDLE = [
  'export_id', 'node_did', 'log', 'events', 'first_seq', 'last_seq', 'count', 'chain_root_hash', 'chain_tip_hash',
  'generated_at', 'keys', 'kid', 'checkpoint', 'inclusion_proof', 'bundle_signature',
];
const PROOF = ['event', 'proof', 'checkpoint', 'keys', 'node_did'];
const RECEIPT = ['v', 'event_id', 'log', 'node_did', 'chain', 'causes', 'checkpoint', 'keys'];
const CONSISTENCY = ['from_size', 'to_size', 'proof', 'checkpoint', 'keys', 'node_did'];
const SHOWN_CHECKPOINT = ['note', 'origin', 'size', 'root', 'vkey'];
const TEXTS = [
  'id', 'event_id', 'type', 'timestamp', 'log', 'node', 'kid', 'prev_hash', 'body_hash', 'hash', 'signature',
];
const EVENT = [...TEXTS, 'seq', 'payload', 'context'];
const EVENT_MEMBERS = `its members are not ${EVENT.join(', ')}`;
const ROTATION = ['kid_old', 'kid_new', 'rotated_at', 'signature_old', 'signature_new'];
const NODE_LOG = '_node';
const HEADS = 'synap.tree.heads';
const ANCHORED = ['v', 'node_did', 'keys', 'event'];
const ANCHORED_LOG = [...ANCHORED, 'proof', 'head', 'place', 'path', 'heads'];
const HEAD = ['log', 'size', 'root', 'salt'];
const ENTRY = ['id', 'action', 'actor', 'timestamp', 'detail', 'log', 'seq', 'prev_hash', 'hash'];
const KEPT_PART =
  'it is a part: only a whole log, or a consistency proof, shows whether it extends the checkpoint that was kept';
const NO_CHECKPOINT = 'is a consistency proof without a checkpoint; ask for it without `to`';
const NEEDS_CHECKPOINT = 'is a consistency proof, which needs the earlier checkpoint: --checkpoint FILE of the command';
const TWICE = 'it has a member name twice';

const ROTATED = 'synap.key.rotated';
const AUDIT_TIP = 'synap.audit.tip';
const ROLLED_BACK = 'synap.log.rolledback';
const ERASED = 'synap.event.erased';
const NO_HASH = `sha256:${'0'.repeat(64)}`;
const HASH = /^sha256:[0-9a-f]{64}$/;
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/;
const KID = /^z[2-9A-HJ-NP-Za-km-z][1-9A-HJ-NP-Za-km-z]{46}$/; // no leading 1: one key has one name
const PLAIN = /^[ !#-[\]-~]*$/; // ASCII that JSON does not escape: servers write nothing else into headers
// Of white space only what Unicode says: `\s` takes U+FEFF for some, and not U+0085.
const CHECKPOINT = /^([^\p{White_Space}\p{Cs}\x00-\x1f\x7f+]+)\n(0|[1-9]\d{0,15})\n([A-Za-z0-9+/]{43}=)\n$/u;
const TLOG_PROOF = 'c2sp.org/tlog-proof@v1\n';
const TLOG_PARTS = /^(?:extra ([A-Za-z0-9+/]+=*)\n)?index (0|[1-9]\d{0,15})\n((?:[A-Za-z0-9+/]{43}=\n){0,63})\n([^]*)$/;
const VKEY = /^([^+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/]+=*)$/;
const KIND_BYTES = { 1: 32, 4: 32, 6: 1312 }; // Ed25519, Ed25519 with a time, ML-DSA-44, which we cannot verify
const SIGNATURE_LINE = /^\u2014 ([^\p{White_Space}\p{Cs}\x00-\x1f+]+) ([A-Za-z0-9+/]+=*)$/u;

const MAX_DEPTH = 64; // of payload and of each part of context: servers store nothing deeper
const MAX_NOTE = 65_536;

// Signatures under way at once: enough to keep the platform's threads busy while this one hashes.
const IN_FLIGHT = 100;

const PROGRESS_EVERY = 250;

const MAX_AUTHORS = 20; // of which each has a line of the command

const ED25519 = { name: 'Ed25519' };
// Edwards25519 (RFC 8032, section 5.1): the field, the order of the base point, d, and a square root of -1.
const FIELD = 2n ** 255n - 19n;
const ORDER = 2n ** 252n + 27742317777372353535851937790883648493n;
const CURVE_D = modulo(-121665n * power(121666n, FIELD - 2n));
const ROOT_OF_MINUS_1 = power(2n, (FIELD - 1n) / 4n);

// The y coordinates of the eight points of small order; ORDER_8 is one of those of order 8.
const ORDER_8 = 2707385501144840649318225287225658788936804267575313519463743609750303402022n;
const SMALL_ORDER = new Set([0n, 1n, FIELD - 1n, ORDER_8, FIELD - ORDER_8]);

const BASE58 = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz';

const encoder = new TextEncoder();
const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** What is wrong, and at which seq; null if it is the bundle or the proof as a whole. */
class Broken extends Error {
  constructor(message, seq = null) {
    super(message);
    this.seq = seq;
  }
}

/** The input is not JSON. `because` follows the word "it": 'is a zip archive'. */
class Unreadable extends Broken {
  constructor(because) {
    super(`it ${because}`);
    this.because = because;
  }
}

/**
 * Judge one export. The input is its JSON text, the bytes of that (a Uint8Array), or the object that JSON.parse returned.
 *
 * The bytes may be compressed with gzip, and may begin with a byte order mark. An object no longer shows whether a member
 * name stood twice.
 *
 * The verdict has these members:
 * - `broken`: null, or the first thing that is wrong, {seq, message}. `seq` is null if it is the bundle as a whole.
 * - `unreadable`: only if the input is no export or proof at all. It says why ('is a zip archive'); `broken` is then not
 *   null.
 * - `breaks`: the rotations that the old key did not sign, {seq, kid_old, kid_new, rotated_at}. `seq` is the event that
 *   applied the rotation, or null if that event is not in the bundle.
 * - `unconfirmed`: the seqs of missing bodies in a part, whose erasure may be recorded after it.
 * - `kept`: the seqs of bodies that are here although an event says that they were erased.
 * - `lost`: the checkpoints that the log does not extend, as the server's own events at `seq` say, {seq, size, root}.
 * - `tips`: the ends of audits that the log's events name, {told_at, log, seq, hash}, for `verifyAudit`.
 * - `size`: how many events the checkpoint covers.
 * - `authors`: who signed events as their author (`metadata.synap.author`), {did, events}, the most events first.
 * - `erased`: how many bodies are missing. If their authors had signed them, those signatures are gone.
 *
 * Options: `progress(done, total)` is called now and then. `checkpoint` is the text of an earlier checkpoint that was kept
 * elsewhere: the log must begin with all events that it covers. The bundle is then a whole log, or `consistency` is a
 * proof from that checkpoint to the one in the bundle, as `verifyConsistency` takes it. This function throws what
 * `parseCheckpoint` and `parseConsistency` throw for them.
 *
 * Hostile input ends in `broken`. The promise rejects only if the platform has no Ed25519. The verdict does not say whose
 * log it is: compare `node` with the node that you know.
 */
export async function verifyBundle(bundle, { progress, checkpoint, consistency } = {}) {
  return judged(bundle, 'bundle', { progress, checkpoint, consistency });
}

/** Judge the proof that one event is in its log, as a ledger returns it at /events/{id}/proof. See `verifyBundle`. */
export async function verifyProof(proof) {
  return judged(proof, 'proof', {});
}

/**
 * Judge the proof that a log extends an earlier checkpoint, as a ledger returns it at /consistency. See `verifyBundle`.
 *
 * `checkpoint` is the text of the earlier checkpoint, which was kept. `size` in the verdict is that of the later one, which
 * the proof contains.
 */
export async function verifyConsistency(proof, { checkpoint } = {}) {
  return judged(proof, 'consistency', { checkpoint });
}

/**
 * Judge a receipt, as a ledger returns it at /events/{id}/receipt. See `verifyBundle`.
 *
 * The verdict on a receipt also has:
 * - `sentences`: what it proves and what it does not, for a person; empty if it is broken.
 * - `withheld`: the seqs of events of which it shows only the header.
 */
export async function verifyReceipt(receipt) {
  return judged(receipt, 'receipt', {});
}

/** Judge any of them. `kind` in the verdict says what it was: 'bundle', 'proof', 'consistency', 'receipt' or 'tlog-proof'. */
export async function verify(any, { progress, checkpoint, consistency, policy } = {}) {
  return judged(any, null, { progress, checkpoint, consistency, policy });
}

/**
 * Judge a proof that travels (`.tlog-proof`, docs/reference/tlog-proof.md). See `verifyBundle`.
 *
 * `policy` is what `parsePolicy` returned. A log that it names must have signed the checkpoint of `_node`, and the
 * witnesses that cosigned it must be its quorum. `cosigned` in the verdict lists them, {name, key, at}, with the
 * time in seconds since 1970; it is null without a policy. `size` is how many events of `_node` the checkpoint covers.
 */
export async function verifyTlogProof(proof, { policy } = {}) {
  return judged(proof, 'tlog-proof', { policy });
}

/**
 * The contents of a checkpoint: of its C2SP note, or of JSON that contains it. Throws if the text is no checkpoint.
 *
 * It does not check the signatures: that needs the keys, which an export has.
 */
export function parseCheckpoint(text) {
  return readNote(tidied(noteIn(text.replace(/^\uFEFF/, ''))));
}

/** The contents of a consistency proof: of its JSON text, its bytes, or the object. Throws if it is none. Checks nothing. */
export async function parseConsistency(input) {
  const { value, hasTwice } = parsed(await opened(input));
  check(!hasTwice, TWICE);
  check(isConsistency(value), 'it is not a consistency proof');
  checkConsistencyShape(value);
  return value;
}

async function judged(input, kind, { progress, checkpoint, consistency, policy }) {
  if (policy && !policy.cosigned) throw new TypeError('the policy is not one that parsePolicy returned');
  const kept = checkpoint === undefined ? null : parseCheckpoint(checkpoint);
  const proof = consistency === undefined ? null : await parseConsistency(consistency);
  const verdict = {
    kind: kind ?? 'bundle', log: null, node: null, count: 0, firstSeq: null, lastSeq: null, size: null, broken: null,
    breaks: [], lost: [], tips: [], unconfirmed: [], kept: [], authors: [], erased: 0,
  };
  await needEd25519();
  try {
    const read = await opened(input);
    const travelling = travels(read);
    if (travelling !== null || kind === 'tlog-proof') {
      verdict.kind = 'tlog-proof';
      check(travelling !== null, 'its first line is not c2sp.org/tlog-proof@v1');
      await judgeTravelling(travelling, verdict, policy);
      return verdict;
    }
    const { value, written, hasTwice } = parsed(read);
    const because = other(value);
    if (because) verdict.unreadable = because;
    verdict.kind = kind ?? kindOf(value);
    if (verdict.kind === 'receipt') Object.assign(verdict, { withheld: [], sentences: [] });
    check(!hasTwice, TWICE);
    if (verdict.kind === 'bundle') await judgeBundle(value, written, verdict, { progress, kept, proof });
    else if (verdict.kind === 'consistency') await judgeConsistency(value, verdict, kept);
    else if (verdict.kind === 'receipt') await judgeReceipt(value, verdict);
    else {
      check(kept === null, KEPT_PART);
      await judgeProof(value, verdict);
    }
  } catch (error) {
    // Anything else was thrown by an object that is more than JSON, while it was read.
    const { message, seq } = error instanceof Broken ? error : new Broken('it cannot be read as JSON');
    verdict.broken = { seq, message };
    if (error instanceof Unreadable) verdict.unreadable = error.because;
  }
  return verdict;
}

function kindOf(value) {
  if (isReceipt(value)) return 'receipt';
  if (isConsistency(value)) return 'consistency';
  const proves = isRecord(value) && Object.hasOwn(value, 'event') && !Object.hasOwn(value, 'events');
  return proves ? 'proof' : 'bundle';
}

const isReceipt = (value) => isRecord(value) && ['chain', 'v'].every((name) => Object.hasOwn(value, name));

const isConsistency = (value) => isRecord(value) && ['from_size', 'proof'].every((name) => Object.hasOwn(value, name));

/** `written` is how many members the text of each event has; null if there is no text. */
async function judgeBundle(bundle, written, verdict, { progress, kept, proof }) {
  checkShape(bundle);
  const { node_did: node, log, events, first_seq: firstSeq, last_seq: lastSeq, count } = bundle;
  Object.assign(verdict, { log, node, count, firstSeq, lastSeq });

  const ring = new Keyring();
  const keys = await readKeys(bundle.keys, node, ring, verdict.breaks);
  const lines = [
    'evlog/export/v1', node, log, bundle.export_id, firstSeq, lastSeq, count, bundle.chain_root_hash,
    bundle.chain_tip_hash, bundle.generated_at,
  ];
  check(keys.some(({ kid }) => kid === bundle.kid), 'its kid is not one of its keys');
  const right = await ring.signed(bundle.kid, `${lines.join('\n')}\n`, bundle.bundle_signature);
  check(right, 'its bundle_signature is wrong');

  const walk = new Walk(bundle, keys, verdict.breaks);
  const tree = firstSeq === 0 ? new Tree() : null;
  const signatures = new Signatures(ring);
  let [leaf, keptRoot] = [null, new Tree().root()];
  try {
    for (const [place, event] of events.entries()) {
      if (written && members(event) !== written[place]) throw new Broken(TWICE, firstSeq + place);
      leaf = walk.step(event, firstSeq + place);
      tree?.add(leaf);
      if (tree && tree.size === kept?.size) keptRoot = tree.root();
      if (!(await signatures.add(event, firstSeq + place, walk.author))) break;
      if (place % PROGRESS_EVERY === 0) progress?.(place, count);
    }
    if (events.length < count) throw new Broken('it is missing', firstSeq + events.length);
  } catch (error) {
    // An earlier signature may still be under way: if it is wrong, it is the first.
    await signatures.settle();
    throw error;
  }
  await signatures.settle();
  progress?.(count, count);

  check(walk.inForce(bundle.kid), 'its kid is not the key in force behind its last event');
  const [first, last] = count > 0 ? [events[0].hash, events.at(-1).hash] : [NO_HASH, NO_HASH];
  check(bundle.chain_root_hash === first, 'its chain_root_hash is not the hash of its first event');
  check(bundle.chain_tip_hash === last, 'its chain_tip_hash is not the hash of its last event');
  if (kept) {
    check(tree || proof, KEPT_PART);
    await checkKept(kept, log, keys, ring);
    const isHere = tree !== null && kept.size <= tree.size;
    check(isHere || proof, `it ends before the checkpoint that was kept, which covers ${kept.size} events`);
    const same = !isHere || hex(keptRoot) === hex(kept.root);
    check(same, `its first ${kept.size} events are not those of the checkpoint that was kept`);
  }
  const { size, root } = await readCheckpoint(bundle.checkpoint, log, lastSeq, keys.at(-1).kid, ring);
  if (tree && size === tree.size) check(hex(tree.root()) === hex(root), 'its checkpoint has another root');
  const path = bundle.inclusion_proof.map(fromBase64);
  if (leaf) check(isIncluded(leaf, lastSeq, size, path, root), 'its last event is not in the tree of its checkpoint');
  else check(size === 0 && path.length === 0, 'it is empty, and its checkpoint or inclusion_proof is not');
  if (kept && proof) checkConsistency(proof, kept, { size, root });
  judgeBodies(walk, lastSeq, size, verdict);
}

/** Like a part of the log with only this event. It cannot tell which key was in force there. */
async function judgeProof(answer, verdict) {
  checkMembers(answer, PROOF);
  const { event, proof, checkpoint, keys: shownKeys, node_did: node } = answer;
  check(isRecord(event) && isSeq(event.seq), 'its event is not an object with a seq');
  check(isText(node), 'its node_did is not a text');
  check(Array.isArray(shownKeys), 'its keys is not a list');
  check(isProof(proof), 'its proof is not a list of hashes in base64');
  checkShown(checkpoint);
  const { log, seq } = event;
  check(isLogName(log), 'its log is not a name');
  Object.assign(verdict, { log, node, count: 1, firstSeq: seq, lastSeq: seq });

  const ring = new Keyring();
  const keys = await readKeys(shownKeys, node, ring, verdict.breaks);
  const { walk, leaf } = await walkSigned(event, node, keys, ring, verdict.breaks);
  const { kid } = keys.at(-1);
  const note = await readCheckpoint(checkpoint.note, log, seq, kid, ring);
  checkSaid(checkpoint, note, ring.bytes(kid));
  const { size, root } = note;
  const included = isIncluded(leaf, seq, size, proof.map(fromBase64), root);
  check(included, 'its event is not in the tree of its checkpoint');
  judgeBodies(walk, seq, size, verdict);
}

/** The parts below the first line of a proof that travels; null if the input is something else. */
function travels(input) {
  if (typeof input === 'string') return input.startsWith(TLOG_PROOF) ? input.slice(TLOG_PROOF.length) : null;
  const first = encoder.encode(TLOG_PROOF);
  if (!(input instanceof Uint8Array) || !begins(input, [...first])) return null;
  try {
    return UTF8.decode(input.subarray(first.length));
  } catch {
    throw new Broken('it is not UTF-8');
  }
}

/** The way from one event over `_node` to its checkpoint, and the witnesses of that. */
async function judgeTravelling(text, verdict, policy) {
  const [, encoded, digits, lines, written] = TLOG_PARTS.exec(text) ?? [];
  check(written !== undefined, 'it is not extra, index, hashes, an empty line and a note');
  const bytes = encoded === undefined ? null : fromBase64(encoded);
  check(bytes, 'it has no extra in base64');
  const { value: extra, hasTwice } = parsed(bytes);
  check(!hasTwice, TWICE);
  check(isRecord(extra) && extra.v === 1, 'its extra is not of version 1');
  check(isRecord(extra.event) && isSeq(extra.event.seq), 'its event is not an object with a seq');
  const { node_did: node, keys: shownKeys, event } = extra;
  const names = event.log === NODE_LOG ? ANCHORED : ANCHORED_LOG;
  checkMembers(extra, names, 'the members of its extra');
  check(isText(node) && Array.isArray(shownKeys) && isLogName(event.log), 'its node_did, keys or log is malformed');
  Object.assign(verdict, { log: event.log, node, count: 1, firstSeq: event.seq, lastSeq: event.seq, cosigned: null });

  const ring = new Keyring();
  const keys = await readKeys(shownKeys, node, ring, verdict.breaks);
  const { walk, leaf } = await walkSigned(event, node, keys, ring, verdict.breaks);
  let [outer, index, size] = [leaf, event.seq, null];
  if (event.log !== NODE_LOG) ({ outer, index, size } = await judgeAnchor(extra, leaf, keys, ring, verdict.breaks));

  const note = readNote(written);
  check(isOf(note, NODE_LOG), 'its checkpoint belongs to another log than _node');
  const path = lines.split('\n').slice(0, -1).map(fromBase64);
  const included = index === Number(digits) && isIncluded(outer, index, note.size, path, note.root);
  check(included, 'its event of _node is not in the tree of its checkpoint');
  const signed = await Promise.all(keys.map(({ kid }) => isNoteSigned(note, kid, ring)));
  check(signed.includes(true), 'its checkpoint is signed by none of its keys');
  if (policy) {
    const kids = new Set(keys.filter((_, place) => signed[place]).map(({ kid }) => kid));
    verdict.cosigned = await policy.cosigned(note, kids, ring);
  }
  judgeBodies(walk, event.seq, size ?? note.size, verdict);
  verdict.size = note.size;
}

/** An event alone, as a part of the log `log`, and the leaf that it is. It checks everything but signatures. */
function walkAlone(event, node, log, keys, breaks) {
  const { seq } = event;
  const walk = new Walk({ node_did: node, log, events: [event], first_seq: seq, last_seq: seq, count: 1 }, keys, breaks);
  return { walk, leaf: walk.step(event, seq) };
}

/** The same, with its signatures. */
async function walkSigned(event, node, keys, ring, breaks) {
  const alone = walkAlone(event, node, event.log, keys, breaks);
  const signatures = new Signatures(ring);
  await signatures.add(event, event.seq, alone.walk.author);
  await signatures.settle();
  return alone;
}

/** The leaf of `_node` that anchors the log of an event, whose own leaf is `leaf`, and the size of that log then. */
async function judgeAnchor({ node_did: node, event, proof, head, place, path, heads }, leaf, keys, ring, breaks) {
  check(isRecord(head) && hasExactly(head, HEAD) && isLogName(head.log), `its head is not ${HEAD.join(', ')}`);
  const { log, size, root, salt } = head;
  check(isSeq(size) && isHash(root) && /^[0-9a-f]{32}$/.test(salt) && isSeq(place), 'its head is not the head of a log');
  check(isProof(proof) && isProof(path), 'its proof or its path is not a list of hashes in base64');
  check(log === event.log, 'its head belongs to another log than its event');
  const inHead = isIncluded(leaf, event.seq, size, proof.map(fromBase64), unhex(root.slice(7)));
  check(inHead, 'its event is not in the tree of its head');
  const right = isRecord(heads) && heads.type === HEADS && heads.log === NODE_LOG && isSeq(heads.seq) && !heads.erased;
  check(right, 'its heads event does not anchor logs');
  const { leaf: outer } = await walkSigned(heads, node, keys, ring, breaks);
  const { count, root: anchored } = heads.payload;
  const said = hasExactly(heads.payload, ['count', 'root']) && isSeq(count) && isHash(anchored);
  check(said, 'its heads event does not say count and root');
  const text = `{"log":"${log}","root":"${root}","salt":"${salt}","size":${size}}`;
  const isThere = isIncluded(sha256(text, 0), place, count, path.map(fromBase64), unhex(anchored.slice(7)));
  check(isThere, 'its head is not among the heads that _node anchored');
  return { outer, index: heads.seq, size };
}

/** What the lines that name a key have behind its id. A key of ML-DSA-44 has none that we can verify. */
function claimsOf({ signatures }, { name, id, kind }) {
  const claims = signatures.filter((each) => each.name === name && hex(each.bytes.subarray(0, 4)) === id);
  return kind === 4 ? claims.map(({ bytes }) => bytes.subarray(4)) : [];
}

/** When the key cosigned the note (C2SP tlog-cosignature), in seconds since 1970; null if the signature is wrong. */
async function cosignedAt({ text }, { kid }, bytes, ring) {
  if (bytes.length !== 8 + 64) return null;
  const at = BigInt(`0x${hex(bytes.subarray(0, 8))}`);
  if (at === 0n || at >= 2n ** 63n) return null;
  const right = await ring.signed(kid, `cosignature/v1\ntime ${at}\n${text}`, bytes.subarray(8));
  return right ? Number(at) : null;
}

/**
 * A trust policy (C2SP tlog-policy), of its text or its bytes. Throws if it is none.
 *
 * Names are opaque octets: each character stands for one.
 */
export function parsePolicy(input) {
  const octets = typeof input === 'string' ? encoder.encode(input) : input;
  const text = Array.from(octets, (octet) => String.fromCharCode(octet)).join('');
  check(text.endsWith('\n'), 'the last line of the policy has no line feed, so the file may be cut off');
  const policy = new Policy();
  for (const [place, line] of text.split('\n').slice(0, -1).entries()) {
    try {
      policy.read(line);
    } catch (error) {
      throw new Broken(`line ${place + 1} of the policy: ${error.message}`);
    }
  }
  check(policy.quorum !== null, 'the policy has no quorum line');
  return policy;
}

/** Which logs and witnesses somebody trusts. Only `parsePolicy` makes one: a page without policies needs none of this. */
class Policy {
  logs = [];
  witnesses = [];
  groups = new Map(); // name -> how many of its members it needs, and its members
  quorum = null;

  /** Read one line. */
  read(line) {
    check(!/[\x00-\x08\x0b-\x1f\x7f]/.test(line), 'it has a control character, such as a carriage return');
    const [kind, ...words] = line.split(/[ \t]+/).filter(Boolean);
    if (kind === undefined || kind.startsWith('#')) return;
    const { logs, witnesses, groups } = this;
    const isDefined = (name) => groups.has(name) || witnesses.some((each) => each.name === name);
    const isNew = (name) => check(name !== 'none' && !isDefined(name), `the name ${shownName(name)} is used already`);
    if (kind === 'log') {
      check(words.length === 1 || words.length === 2, 'a log line is `log <vkey> [<url>]`');
      const key = readVkey(words[0], 1);
      check(!logs.some((each) => each.key.raw === key.raw), 'another log line has the same key');
      logs.push({ key });
    } else if (kind === 'witness') {
      check(words.length === 2 || words.length === 3, 'a witness line is `witness <name> <vkey> [<url>]`');
      isNew(words[0]);
      const key = readVkey(words[1], 4);
      check(!witnesses.some((each) => each.key.raw === key.raw), 'another witness line has the same key');
      witnesses.push({ name: words[0], key });
    } else if (kind === 'group') {
      const [name, count, ...inside] = words;
      check(inside.length, 'a group line is `group <name> <all, any or a number> <member>...`');
      isNew(name);
      const taken = new Set([...groups.values()].flatMap((group) => group.members));
      for (const [place, member] of inside.entries()) {
        check(isDefined(member), `no witness or group before it is called ${shownName(member)}`);
        check(!taken.has(member) && inside.indexOf(member) === place, `${shownName(member)} is a member of a group already`);
      }
      const threshold = { all: inside.length, any: 1 }[count] ?? (/^[1-9]\d{0,8}$/.test(count) ? Number(count) : 0);
      check(threshold >= 1 && threshold <= inside.length, 'the number of a group is all, any, or 1 to its members');
      groups.set(name, { threshold, members: inside });
    } else if (kind === 'quorum') {
      check(words.length === 1, 'a quorum line is `quorum <name>`');
      check(this.quorum === null, 'a policy has one quorum line only');
      check(words[0] === 'none' || isDefined(words[0]), `no witness or group before it is called ${shownName(words[0])}`);
      this.quorum = words[0];
    } else {
      check(false, 'it begins with none of log, witness, group, quorum and #');
    }
  }

  /** The witnesses that cosigned a note, which the keys `kids` signed. Throws Broken without the quorum. */
  async cosigned(note, kids, ring) {
    const { logs, witnesses, groups, quorum } = this;
    const cosigned = [];
    for (const { name, key } of witnesses) {
      const times = await Promise.all(claimsOf(note, key).map((bytes) => cosignedAt(note, key, bytes, ring)));
      check(!times.includes(null), `a signature of its checkpoint is wrong: ${key.name}`);
      if (times.length) cosigned.push({ name: shownName(name), named: name, key: key.name, at: Math.min(...times) });
    }
    const known = logs.filter(({ key }) => key.name === note.origin && key.kind === 1);
    const signed = await Promise.all(known.map(({ key }) => isNoteSigned(note, key.kid, ring)));
    check(!signed.includes(false), `a signature of its checkpoint is wrong: ${note.origin}`);
    const isKnown = known.some(({ key }, place) => signed[place] && kids.has(key.kid));
    check(isKnown, 'its checkpoint is not signed by a log of the policy');
    const met = new Set(['none', ...cosigned.map(({ named }) => named)]);
    for (const [name, { threshold, members: inside }] of groups) {
      if (inside.filter((each) => met.has(each)).length >= threshold) met.add(name);
    }
    const who = cosigned.map(({ name }) => name).join(', ') || 'no witness';
    check(met.has(quorum), `its checkpoint does not have the quorum of the policy: ${who} cosigned`);
    return cosigned.map(({ name, key, at }) => ({ name, key, at }));
  }
}

/** A verifier key (C2SP signed-note), whose kind must be `kind` or ML-DSA-44. */
function readVkey(text, kind) {
  const [, octets, id, encoded] = VKEY.exec(text) ?? [];
  const bytes = encoded === undefined ? null : fromBase64(encoded);
  check(bytes?.length, 'a verifier key is <name>+<8 digits in hex>+<base64>');
  let name;
  try {
    name = UTF8.decode(bytesOf(octets));
  } catch {
    check(false, 'the name of its key is not UTF-8');
  }
  check(!/\p{White_Space}/u.test(name), 'the name of its key has white space');
  const [own, raw] = [bytes[0], bytes.subarray(1)];
  check(KIND_BYTES[own] === raw.length, 'its key has an unknown kind or a wrong length');
  check(own === kind || own === 6, `the kind of its key is ${own}, but it must be ${kind}`);
  check(own === 6 || isKey(raw), 'its key is not a valid Ed25519 key');
  check(keyId(name, own, raw) === id, 'the id of its key is not that of the key');
  return { name, id, kind: own, raw: hex(raw), kid: own === 6 ? null : kidOf(raw) };
}

/** A name for a person. */
const shownName = (name) => new TextDecoder().decode(bytesOf(name)).slice(0, 256);

/** `kept` is the earlier checkpoint. The later one, in the answer, is signed by the last key, as in a proof. */
async function judgeConsistency(answer, verdict, kept) {
  if (kept === null) throw new Unreadable(NEEDS_CHECKPOINT);
  checkConsistencyShape(answer);
  const { checkpoint, keys: shownKeys, node_did: node } = answer;
  if (checkpoint === undefined) throw new Unreadable(NO_CHECKPOINT);
  const ring = new Keyring();
  const keys = await readKeys(shownKeys, node, ring, verdict.breaks);
  const { kid } = keys.at(-1);
  const [, log] = /^[^]+\/([^/]+)$/.exec(readNote(checkpoint.note).origin) ?? [];
  check(log, 'the origin of its checkpoint names no log');
  const later = await readCheckpoint(checkpoint.note, log, -1, kid, ring);
  checkSaid(checkpoint, later, ring.bytes(kid));
  Object.assign(verdict, { log, node, size: later.size });
  await checkKept(kept, log, keys, ring);
  checkConsistency(answer, kept, later);
}

function checkConsistencyShape(answer) {
  check(isRecord(answer), 'it is not a JSON object');
  const names = CONSISTENCY.filter((name) => name !== 'checkpoint' || Object.hasOwn(answer, name));
  checkMembers(answer, names);
  check(['from_size', 'to_size'].every((name) => isSeq(answer[name])), 'its sizes are not whole numbers');
  check(isText(answer.node_did), 'its node_did is not a text');
  check(Array.isArray(answer.keys), 'its keys is not a list');
  check(isProof(answer.proof), 'its proof is not a list of hashes in base64');
  if (Object.hasOwn(answer, 'checkpoint')) checkShown(answer.checkpoint);
}

/** Check that the tree of `later` extends that of `kept`. Both are signed, so the proof needs no signature. */
function checkConsistency({ from_size: from, to_size: to, proof }, kept, later) {
  const sizes = `trees of ${from} and ${to} events, but the checkpoints have ${kept.size} and ${later.size}`;
  check(from === kept.size && to === later.size, `the consistency proof is for ${sizes}`);
  const right = isExtended(kept, later, proof.map(fromBase64));
  check(right, 'the consistency proof does not show that the log extends the checkpoint that was kept');
}

/**
 * Judge the audit of the log `log`.
 *
 * The input is the text or the bytes of pages of GET /audit without a filter, one page on each line. `tips` are those of
 * the verdict on the log: its signatures cover them.
 *
 * `broken` is null, or the first thing that is wrong, {seq, message}; `seq` is null if the input is no audit. `covered` is
 * the last entry that the log covers; null if it covers none.
 */
export function verifyAudit(input, { log, tips }) {
  const verdict = { log, count: 0, firstSeq: 0, lastSeq: -1, covered: null, broken: null };
  try {
    const entries = readAudit(input);
    const firstSeq = entries[0]?.seq ?? 0;
    Object.assign(verdict, { count: entries.length, firstSeq, lastSeq: firstSeq + entries.length - 1 });
    for (const [place, entry] of entries.entries()) checkEntry(entry, firstSeq + place, log, entries[place - 1]);
    const mine = tips.filter((tip) => tip.log === log && tip.seq >= firstSeq).sort((one, other) => one.seq - other.seq);
    for (const { told_at: at, seq, hash } of mine) {
      const entry = entries[seq - firstSeq];
      const missing = `it is missing, but the event at seq ${at} of the log names it`;
      if (!entry) throw new Broken(missing, seq);
      const another = `it is not the entry that the event at seq ${at} of the log names`;
      if (entry.hash !== hash) throw new Broken(another, seq);
      verdict.covered = seq;
    }
  } catch (error) {
    const { message, seq } = error instanceof Broken ? error : new Broken('it cannot be read as JSON');
    verdict.broken = { seq, message };
  }
  return verdict;
}

function readAudit(input) {
  const text = typeof input === 'string' ? input : UTF8.decode(input);
  let pages;
  try {
    pages = [JSON.parse(text)];
  } catch {
    pages = text.split('\n').filter((line) => line.trim()).map((line) => JSON.parse(line));
  }
  check(pages.every((page) => isRecord(page) && Array.isArray(page.entries)), 'it is not pages of an audit');
  const entries = pages.flatMap((page) => page.entries);
  check(entries.every((entry) => isRecord(entry) && hasExactly(entry, ENTRY)), `an entry has not ${ENTRY.join(', ')}`);
  return entries;
}

function checkEntry(entry, seq, log, before) {
  const { hash, ...said } = entry;
  const broken = (message) => new Broken(message, seq);
  if (entry.seq !== seq) throw broken(`seq ${entry.seq} is in its place`);
  if (entry.log !== log) throw broken('it belongs to another log');
  if (before && entry.timestamp <= before.timestamp) throw broken('it is not later than the entry before it');
  const link = before ? before.hash : NO_HASH;
  if ((before || seq === 0) && entry.prev_hash !== link) throw broken('it does not link to the entry before it');
  const right = hash === `sha256:${hex(sha256(canonical({ ...said, v: 'evaudit/1' }, 0), 0))}`;
  if (!right) throw broken('its hash is not that of its contents');
}

/** What is known of missing and kept bodies. Where the log ends, nothing behind can say that one was erased. */
function judgeBodies(walk, lastSeq, size, verdict) {
  const missing = walk.missingBodies();
  if (missing.length && size === lastSeq + 1) {
    throw new Broken('its body is missing, and no later event names it', missing[0]);
  }
  const { lost, tips, authors, erased } = walk;
  const said = { authors: mostFirst(authors), erased };
  Object.assign(verdict, { size, lost, tips, unconfirmed: missing, kept: walk.keptBodies(), ...said });
}

function mostFirst(authors) {
  const counted = [...authors].map(([did, events]) => ({ did, events }));
  return counted.sort((one, other) => other.events - one.events || (one.did < other.did ? -1 : 1));
}

function checkShape(bundle) {
  check(isRecord(bundle), 'it is not a JSON object');
  checkMembers(bundle, BUNDLE);
  const { first_seq: first, last_seq: last, count } = bundle;
  const texts = ['export_id', 'node_did', 'log', 'generated_at', 'kid', 'checkpoint', 'bundle_signature'];
  checkEach(bundle, texts, isText, 'is not a text');
  check(/^exp_[0-9a-f]{32}$/.test(bundle.export_id), 'its export_id is not exp_ and 32 hex digits');
  check(isLogName(bundle.log), 'its log is not a name');
  checkEach(bundle, ['chain_root_hash', 'chain_tip_hash'], isHash, 'is not a hash');
  check(TIME.test(bundle.generated_at), 'its generated_at is not UTC with six digits');
  checkEach(bundle, ['events', 'keys'], Array.isArray, 'is not a list');
  checkEach(bundle, ['inclusion_proof'], isProof, 'is not a list of hashes in base64');
  check([first, last, count].every(Number.isSafeInteger), 'its first_seq, last_seq and count are not whole numbers');
  check(first >= 0 && count >= 0 && last - first + 1 === count, 'its first_seq, last_seq and count do not agree');
  check(count > 0 || first === 0, 'it is empty, and does not begin at seq 0');
}

/** The keys of the install in order, each with the rotation that led to it; breaks are added to `breaks`. */
async function readKeys(keys, node, ring, breaks) {
  check(keys.length > 0, 'it has no keys');
  for (const [place, key] of keys.entries()) {
    const names = place === 0 ? ['kid'] : ['kid', 'rotation'];
    checkMembers(key, names, `the members of key ${place}`);
    check(isText(key.kid) && ring.bytes(key.kid) !== null, `key ${place} is not an Ed25519 key`);
    if (place === 0) {
      check(node === `did:key:${key.kid}`, 'its first key does not name the node');
      continue;
    }
    const { rotation } = key;
    checkRotation(rotation, `the rotation of key ${place}`);
    check(rotation.kid_old === keys[place - 1].kid && rotation.kid_new === key.kid, `key ${place} is not chained`);
    const text = `evlog/rotate/v1\n${node}\n${rotation.kid_old}\n${rotation.kid_new}\n${rotation.rotated_at}\n`;
    check(await ring.signed(key.kid, text, rotation.signature_new), `key ${place} did not sign its rotation`);
    if (rotation.signature_old === null) {
      breaks.push({ seq: null, kid_old: rotation.kid_old, kid_new: key.kid, rotated_at: rotation.rotated_at });
    } else {
      check(
        await ring.signed(rotation.kid_old, text, rotation.signature_old),
        `the key before it did not sign the rotation to key ${place}`,
      );
    }
  }
  return keys;
}

function checkRotation(rotation, what) {
  checkMembers(rotation, ROTATION, `the members of ${what}`);
  const { signature_old: old, ...texts } = rotation;
  check((old === null || isText(old)) && Object.values(texts).every(isText), `${what} is not of texts`);
  check(TIME.test(rotation.rotated_at), `the rotated_at of ${what} is not UTC with six digits`);
}

/** Checks the events in order, each against those before it. It checks everything but signatures. */
class Walk {
  tips = []; // ends of audits of which its events tell
  lost = []; // checkpoints that the log does not extend, as its events say
  author = null; // what the author of the last event signed
  authors = new Map(); // did -> how many events that author signed
  erased = 0; // events without a body
  #bundle;
  #keys;
  #breaks;
  #previous = null;
  #places = null; // where in `keys` the key in force may stand: a key that came back stands there twice
  #missing = new Map(); // seq -> event, of each missing body that no event has named yet
  #kept = new Set(); // seqs of bodies that an event has named

  constructor(bundle, keys, breaks) {
    this.#bundle = bundle;
    this.#keys = keys;
    this.#breaks = breaks;
    if (bundle.first_seq === 0) this.#places = [0];
    if (bundle.count === 0) this.#places = [keys.length - 1];
  }

  /** The 32 bytes of the event's hash. Throws Broken at `seq`, the place where the event should be. */
  step(event, seq) {
    try {
      return this.#step(event, seq);
    } catch (error) {
      throw new Broken(error instanceof Broken ? error.message : 'it cannot be read as JSON', seq);
    }
  }

  inForce(kid) {
    return this.#places.some((place) => this.#keys[place].kid === kid);
  }

  missingBodies() {
    return [...this.#missing.keys()];
  }

  /** The seqs of bodies that are here, although a later event says that they were erased. */
  keptBodies() {
    return [...this.#kept].sort((one, other) => one - other);
  }

  #step(event, seq) {
    const { node_did: node, log, first_seq: firstSeq, last_seq: lastSeq } = this.#bundle;
    checkEvent(event);
    if (event.seq !== seq) throw new Broken(`seq ${event.seq} is in its place`);
    check(seq <= lastSeq, 'it is after the last');
    check(event.node === node, 'it belongs to another node');
    check(event.log === log, 'it belongs to another log');
    check(TIME.test(event.timestamp), 'its timestamp is not UTC with six digits');
    if (seq > firstSeq) {
      check(event.prev_hash === this.#previous.hash, 'it does not link to the event before it');
      check(event.timestamp > this.#previous.timestamp, 'its timestamp is not later than the one before it');
    } else if (seq === 0) {
      check(event.prev_hash === NO_HASH, 'it is the first, and links to another');
    }
    if (event.erased) check(![ROTATED, ROLLED_BACK].includes(event.type), 'it is of a type that is never erased');
    else checkBody(event);
    const hash = checkHeader(event);
    this.#checkKey(event, seq);
    this.author = authorSignature(event);
    if (this.author) this.authors.set(this.author.did, (this.authors.get(this.author.did) ?? 0) + 1);
    if (event.erased) this.erased += 1;
    if (event.erased) this.#missing.set(seq, event);
    else if (event.type === ERASED) this.#erase(event, seq);
    else if (event.type === AUDIT_TIP) this.tips.push(...readTips(event.payload, seq));
    else if (event.type === ROLLED_BACK) this.lost.push({ seq, ...readLost(event.payload) });
    this.#previous = event;
    return hash;
  }

  #checkKey(event, seq) {
    const rotations = event.type === ROTATED ? readRotations(event.payload) : [];
    if (this.#places === null) {
      const kid = rotations.length ? rotations[0].kid_old : event.kid;
      this.#places = [...this.#keys.keys()].filter((place) => this.#keys[place].kid === kid);
      check(this.#places.length, 'its key is not one of the keys of the install');
    }
    let right = this.inForce(event.kid);
    for (const rotation of rotations) this.#rotate(rotation, seq);
    right ||= this.inForce(event.kid);
    check(right, 'its key was not in force');
  }

  /** The signatures of a rotation need no check here: it must be one of `keys`, which were checked. */
  #rotate(rotation, seq) {
    const same = ({ rotation: known }) => known && ROTATION.every((name) => known[name] === rotation[name]);
    const place = this.#keys.findIndex(same);
    check(place > 0, 'it has a rotation that is not in the keys of the install');
    if (this.#places.includes(place - 1)) {
      this.#places = [place];
      const { kid_new: kid, rotated_at: at } = rotation;
      const found = this.#breaks.find((one) => one.seq === null && one.kid_new === kid && one.rotated_at === at);
      if (found) found.seq = seq;
    } else {
      check(this.#places.some((at) => at >= place), 'it has a rotation of a key that was not in force');
    }
  }

  #erase({ payload }, seq) {
    const { events, first_seq: firstSeq } = this.#bundle;
    for (const { seq: of, id, hash } of readErased(payload)) {
      const event = of < seq ? events[of - firstSeq] : undefined;
      if (event?.event_id !== id || event.hash !== hash) continue;
      if (event.erased) this.#missing.delete(of);
      else this.#kept.add(of);
    }
  }
}

function checkEvent(event) {
  check(isRecord(event), 'it is not a JSON object');
  const erased = Object.hasOwn(event, 'erased');
  check(hasExactly(event, erased ? [...EVENT, 'erased'] : EVENT), EVENT_MEMBERS);
  checkEach(event, TEXTS, isText, 'is not a text');
  checkEach(event, ['event_id', 'type', 'kid'], isPlain, 'is not plain ASCII');
  checkEach(event, ['prev_hash', 'body_hash', 'hash'], isHash, 'is not a hash');
  checkEach(event, ['payload', 'context'], isRecord, 'is not an object');
  check(isSeq(event.seq), 'its seq is not a whole number');
  if (!erased) return;
  check(event.erased === true, 'its erased is not true');
  checkEach(event, ['payload', 'context'], (part) => hasExactly(part, []), 'is not empty, and it is erased');
}

function checkBody(event) {
  const { type, node, context } = event;
  check(!Object.hasOwn(context, 'data'), 'its context has data');
  checkEach(context, ['salt', 'userId', 'source'], isText, 'is not a text');
  check(event.body_hash === bodyHash(event), 'its body is not the one that was hashed');
  if (type.startsWith('synap.')) {
    check(context.source === 'system' && context.userId === node, 'its type is of the server, its source is not');
  }
}

/** What the `body_hash` of an event in the ledger's form has to be. */
export function bodyHash({ payload, context }) {
  return `sha256:${hex(sha256(partByPart({ ...context, data: payload })))}`;
}

/** The JCS of a body, or of what its author signed: each part may be nested as deeply as servers store it. */
function partByPart(parts) {
  const members = Object.keys(parts).sort().map((name) => `${quoted(name)}:${canonical(parts[name], 1)}`);
  return `{${members.join(',')}}`;
}

/**
 * Who signed an event in the ledger's form as its author, {did, right}; null if it has no author.
 *
 * `did` is null if nobody can have signed it: its author is not a did and a signature. Rejects only if the platform has no
 * Ed25519.
 */
export async function authorOf(event) {
  await needEd25519();
  let author;
  try {
    author = authorSignature(event);
  } catch {
    return { did: null, right: false };
  }
  return author && { did: author.did, right: await new Keyring().signed(author.kid, author.text, author.signature) };
}

/** What the author of an event signed, {did, kid, text, signature}; null if it has no author. `kid` may be no kid. */
function authorSignature({ event_id: id, log, node, type, payload, context }) {
  const { metadata } = context;
  const synap = isRecord(metadata) ? metadata.synap : null;
  if (!isRecord(synap) || !Object.hasOwn(synap, 'author')) return null;
  const { author } = synap;
  const right = isRecord(author) && isText(author.did) && isText(author.signature);
  check(right, 'its author is not an object with a did and a signature');
  const header = { id, log, node, type };
  const mixed = Object.keys(header).some((name) => Object.hasOwn(context, name));
  check(!mixed, 'it has an author, and its body has members of its header');
  const { signature, ...unsigned } = author;
  const { salt, ...body } = { ...context, metadata: { ...metadata, synap: { ...synap, author: unsigned } }, data: payload };
  const text = `evlog/author/v1\n${hex(sha256(partByPart({ ...body, ...header })))}\n`;
  const kid = author.did.startsWith('did:key:') ? author.did.slice('did:key:'.length) : '';
  return { did: author.did, kid, text, signature };
}

function checkHeader(event) {
  const hash = leafOf(event);
  const text = hex(hash);
  check(event.hash === `sha256:${text}`, 'its header is not the one that was hashed');
  check(event.id === `evt_${text}`, 'its id is not its hash');
  return hash;
}

/** What the `hash` of an event in the ledger's form has to be. */
export const headerHash = (event) => `sha256:${hex(leafOf(event))}`;

function leafOf(event) {
  // In JCS order; nothing in it needs an escape.
  const { body_hash: body, event_id: id, kid, log, node, prev_hash: link, seq, timestamp, type } = event;
  const header = `{"body_hash":"${body}","id":"${id}","kid":"${kid}","log":"${log}","node":"${node}","prev_hash":"${
    link}","seq":${seq},"timestamp":"${timestamp}","type":"${type}","v":"evlog/1"}`;
  return sha256(header, 0);
}

function readTips(payload, at) {
  check(hasExactly(payload, ['tips']) && Array.isArray(payload.tips), 'it does not say where audits end');
  return payload.tips.map((tip) => {
    const right = isRecord(tip) && hasExactly(tip, ['log', 'seq', 'hash']) && isText(tip.log) && isHash(tip.hash);
    check(right && isSeq(tip.seq), 'it does not say where audits end');
    return { told_at: at, ...tip };
  });
}

function readLost(payload) {
  const { size, root } = payload;
  const right = hasExactly(payload, ['size', 'root']) && isSeq(size) && isHash(root);
  check(right, 'it does not say which checkpoint was lost');
  return { size, root };
}

function readRotations(payload) {
  check(hasExactly(payload, ['rotations']), 'its payload is not of rotations alone');
  const { rotations } = payload;
  check(Array.isArray(rotations) && rotations.length > 0, 'its rotations are not a list of at least one');
  for (const rotation of rotations) checkRotation(rotation, 'a rotation');
  return rotations;
}

function readErased(payload) {
  check(hasExactly(payload, ['erased']) && Array.isArray(payload.erased), 'its payload is not of what was erased');
  for (const one of payload.erased) {
    check(isRecord(one) && hasExactly(one, ['seq', 'id', 'hash']), 'what it names is not seq, id, hash');
    check(typeof one.seq === 'number' && isText(one.id) && isText(one.hash), 'what it names is not seq, id, hash');
  }
  return payload.erased;
}

/** Whether `signature` (base64) over `text` is by the key that `kid` names (z6Mk…). No argument makes it reject. */
export async function isSignedBy(kid, text, signature) {
  await needEd25519();
  return [kid, text, signature].every(isText) && new Keyring().signed(kid, text, signature);
}

/** The signatures of events and of their authors, several at once. */
class Signatures {
  #ring;
  #pending = [];
  #wrong = { seq: Infinity }; // the first event with a wrong signature, among those that were settled, and its message

  constructor(ring) {
    this.#ring = ring;
  }

  /** `author` is what the event's author signed, or null. False once a signature is known to be wrong; `settle` then throws the first one. */
  async add({ kid, hash, signature }, seq, author) {
    this.#expect({ kid, text: `evlog/event/v1\n${hash.slice(7)}\n`, signature }, seq, 'its signature is wrong');
    if (author) this.#expect(author, seq, 'the signature of its author is wrong');
    while (this.#pending.length > IN_FLIGHT) await this.#pending.shift();
    return this.#wrong.seq === Infinity;
  }

  #expect({ kid, text, signature }, seq, message) {
    const signed = this.#ring.signed(kid, text, signature);
    this.#pending.push(signed.then((right) => {
      if (!right && seq < this.#wrong.seq) this.#wrong = { seq, message };
    }));
  }

  async settle() {
    await Promise.all(this.#pending);
    if (this.#wrong.seq < Infinity) throw new Broken(this.#wrong.message, this.#wrong.seq);
  }
}

/** The contents of a checkpoint. `kid` must have signed it, and it must belong to `log` and cover `lastSeq`. */
async function readCheckpoint(checkpoint, log, lastSeq, kid, ring) {
  const note = readNote(checkpoint);
  check(isOf(note, log), 'its checkpoint belongs to another log');
  check(note.size > lastSeq, 'its checkpoint is of a shorter log');
  const right = await isNoteSigned(note, kid, ring);
  check(right !== null, 'its checkpoint is not signed by the last of its keys');
  check(right, 'the signature of its checkpoint is wrong');
  return note;
}

function checkShown(checkpoint) {
  const shown = isRecord(checkpoint) && hasExactly(checkpoint, SHOWN_CHECKPOINT) && isText(checkpoint.note);
  check(shown, `the members of its checkpoint are not ${SHOWN_CHECKPOINT.join(', ')}`);
}

/** Check that the members beside a note, which this key signed, agree with the note. */
function checkSaid(checkpoint, { origin, size, root }, key) {
  const says = { origin, size, root: base64(root), vkey: verifierKey(origin, key) };
  for (const [name, value] of Object.entries(says)) {
    check(checkpoint[name] === value, `the ${name} of its checkpoint is not that of the note`);
  }
}

/** Check that a checkpoint which was kept elsewhere belongs to this log, and that one of its keys signed it. */
async function checkKept(note, log, keys, ring) {
  check(isOf(note, log), 'the checkpoint that was kept belongs to another log');
  const signed = await Promise.all(keys.map(({ kid }) => isNoteSigned(note, kid, ring)));
  check(signed.includes(true), 'the checkpoint that was kept is signed by none of its keys');
}

const isOf = ({ origin }, log) => origin.length > log.length + 1 && origin.endsWith(`/${log}`);

/** The parts of a checkpoint, its root 32 bytes: C2SP tlog-checkpoint and signed-note. */
function readNote(checkpoint) {
  const text = checkpoint.slice(0, checkpoint.indexOf('\n\n') + 1);
  const [, origin, digits, encoded] = CHECKPOINT.exec(text) ?? [];
  const lines = checkpoint.slice(text.length + 1).split('\n');
  const whole = encoder.encode(checkpoint).length <= MAX_NOTE && lines.pop() === '';
  const signatures = lines.map((line) => SIGNATURE_LINE.exec(line) ?? []).map(([, name, signature]) => ({
    name, bytes: signature ? fromBase64(signature) : null,
  }));
  const signed = signatures.length > 0 && signatures.every(({ bytes }) => bytes?.length > 4);
  check(origin && whole && signed, 'its checkpoint is not a signed note');
  const size = Number(digits);
  check(Number.isSafeInteger(size), 'the size of its checkpoint is too large');
  const root = fromBase64(encoded);
  check(root !== null, 'the root of its checkpoint is not 32 bytes in base64');
  return { text, origin, size, root, signatures };
}

/** Whether the key signed the note; null if no signature claims that. It ignores signatures of others. */
async function isNoteSigned({ text, origin, signatures }, kid, ring) {
  const named = keyHash(origin, ring.bytes(kid));
  const claims = signatures.filter(({ name, bytes }) => name === origin && hex(bytes.subarray(0, 4)) === named);
  if (claims.length === 0) return null;
  const right = await Promise.all(claims.map(({ bytes }) => ring.signed(kid, text, bytes.subarray(4))));
  return !right.includes(false);
}

/** The note in the JSON of a checkpoint, a proof, an export or an answer. Other text is returned as it is. */
function noteIn(text) {
  if (!/^\s*[{"]/.test(text)) return text;
  let value = JSON.parse(text);
  const around = ['note', 'checkpoint', 'result', 'data', 'json'];
  for (let name; isRecord(value); value = value[name]) {
    name = around.find((each) => Object.hasOwn(value, each));
    check(name !== undefined, 'it is JSON without a checkpoint');
  }
  check(isText(value), 'it is JSON without a checkpoint');
  return value;
}

/** A note with its original line ends and white space, which an editor, a shell or a mail may have changed. */
function tidied(note) {
  const lines = note.split(/\r\n|\r|\n/).map((line) => line.trimEnd());
  return `${lines.join('\n').replace(/^\n+|\n+$/g, '')}\n`;
}

/** The key id of signed-note, which names the signer by name, kind and key: 8 hex digits. */
function keyId(name, kind, key) {
  return hex(sha256(joined(encoder.encode(`${name}\n${String.fromCharCode(kind)}`), key))).slice(0, 8);
}

const keyHash = (name, key) => keyId(name, 1, key);

const verifierKey = (name, key) => `${name}+${keyHash(name, key)}+${base64(joined(Uint8Array.of(1), key))}`;

/** RFC 6962, section 2.1, over leaves that are hashes already. */
class Tree {
  size = 0;
  #roots = []; // the roots of the full subtrees: at [n], if bit n of size is set, the root of 2^n leaves

  add(leaf) {
    let [node, level] = [leaf, 0];
    for (; (this.size >>> level) & 1; level += 1) node = parent(this.#roots[level], node);
    this.#roots[level] = node;
    this.size += 1;
  }

  root() {
    const full = this.#roots.filter((_, level) => (this.size >>> level) & 1);
    return full.length ? full.reduce((right, left) => parent(left, right)) : sha256('');
  }
}

const parent = (left, right) => sha256(joined(left, right), 1);

const half = (number) => Math.floor(number / 2); // shifts end at 32 bits

/** The first ancestor that is a right child, or the edge: a proof has no hash if nothing is on the right. */
function upToRight(at, last) {
  while (at % 2 === 0 && at > 0) [at, last] = [half(at), half(last)];
  return [at, last];
}

/** Whether `path` shows `leaf` at `place` of the tree of `size` leaves with that root: RFC 9162, section 2.1.3.2. */
function isIncluded(leaf, place, size, path, root) {
  const found = rootAbove(leaf, place, size, path);
  return found !== null && hex(found) === hex(root);
}

/** The root, in base64, to which a proof leads from its event; null if it leads to none. */
export function provenRoot({ event, proof, checkpoint }) {
  const root = rootAbove(leafOf(event), event.seq, checkpoint.size, proof.map(fromBase64));
  return root && base64(root);
}

function rootAbove(leaf, place, size, path) {
  if (place >= size) return null;
  let [at, last, found] = [place, size - 1, leaf];
  for (const hash of path) {
    if (last === 0) return null;
    if (at % 2 === 1 || at === last) {
      found = parent(hash, found);
      [at, last] = upToRight(at, last);
    } else {
      found = parent(found, hash);
    }
    [at, last] = [half(at), half(last)];
  }
  return last === 0 ? found : null;
}

/** Whether `proof` shows that the tree `early` is the beginning of the tree `late`: RFC 9162, section 2.1.4.2. */
function isExtended(early, late, proof) {
  if (early.size > late.size) return false;
  if (early.size === late.size) return proof.length === 0 && hex(early.root) === hex(late.root);
  if (early.size === 0) return proof.length === 0 && hex(early.root) === hex(sha256(''));
  let [at, last] = [early.size - 1, late.size - 1];
  while (at % 2 === 1) [at, last] = [half(at), half(last)];
  const [first, ...path] = at === 0 ? [early.root, ...proof] : proof; // a complete tree is a node of the later one
  if (first === undefined) return false;
  let [foundEarly, foundLate] = [first, first];
  for (const hash of path) {
    if (last === 0) return false;
    if (at % 2 === 1 || at === last) {
      [foundEarly, foundLate] = [parent(hash, foundEarly), parent(hash, foundLate)];
      [at, last] = upToRight(at, last);
    } else {
      foundLate = parent(foundLate, hash);
    }
    [at, last] = [half(at), half(last)];
  }
  return last === 0 && hex(foundEarly) === hex(early.root) && hex(foundLate) === hex(late.root);
}

// Receipts.

const DECISIONS = ['approved', 'rejected', 'expired', 'withdrawn'];
const OUTCOMES = ['executed', 'failed', 'unknown'];
const MAX_CAUSES = 64;
const MAX_USES = 1000;
const MAX_SHOWN = 2000; // characters of one text or value in a sentence
const SYNAP = 'its metadata.synap is not as servers write it';
const OTHER_REQUEST = 'it belongs to another request';

// Characters that are invisible or change the direction of a text. The list is part of the format, so that it does not
// depend on the version of Unicode that a platform knows.
const EXPIRED = 'it came after the request had expired';
const EARLY = 'it says that a time is over, but it was not';
const NOT_NODE = 'its user is not the node';
const NOT_ASKER = 'its user is not the user who asked';
const DAY_SECONDS = 86_400;
const MAX_TIMEOUT_SECONDS = 604_800;
const INSTANT = /^((?!0000)\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d+))?(?:[Zz]|([+-])(\d\d):?(\d\d))$/;
const HIDDEN = new RegExp(
  '[\\u{0}-\\u{1f}\\u{7f}-\\u{a0}\\u{ad}\\u{34f}\\u{61c}\\u{115f}\\u{1160}\\u{1680}\\u{17b4}\\u{17b5}\\u{180b}-\\u{180f}'
    + '\\u{2000}-\\u{200f}\\u{2028}-\\u{202f}\\u{205f}-\\u{206f}\\u{2800}\\u{3000}\\u{3164}\\u{d800}-\\u{f8ff}'
    + '\\u{fe00}-\\u{fe0f}\\u{feff}\\u{ffa0}\\u{fff0}-\\u{ffff}\\u{1bca0}-\\u{1bca3}\\u{1d173}-\\u{1d17a}'
    + '\\u{e0000}-\\u{10ffff}]', 'gu',
);
const NOTE =
  'Note: this receipt has characters that are invisible or change the direction of a text. They are written here as '
  + '\\u and four digits.';

/** Each event as a part of the log with only this event, its place in one tree, and how the events belong together. */
async function judgeReceipt(receipt, verdict) {
  checkReceiptShape(receipt);
  const { log, node_did: node, checkpoint, chain, causes } = receipt;
  Object.assign(verdict, { log, node, count: chain.length + causes.length });

  const ring = new Keyring();
  const keys = await readKeys(receipt.keys, node, ring, verdict.breaks);
  const { kid } = keys.at(-1);
  const note = await readCheckpoint(checkpoint.note, log, -1, kid, ring);
  checkSaid(checkpoint, note, ring.bytes(kid));
  const signatures = new Signatures(ring);
  const entries = [];
  try {
    for (const entry of [...chain, ...causes]) {
      const read = readEntry(entry, entries.length < chain.length, receipt, note, verdict);
      entries.push(read);
      if (!(await signatures.add(entry.event, read.seq, read.author))) break;
    }
  } catch (error) {
    await signatures.settle();
    throw error;
  }
  await signatures.settle();

  const seqs = entries.map(({ seq }) => seq);
  const missing = entries.filter(({ content, withheld }) => content === null && !withheld).map(({ seq }) => seq);
  if (missing.includes(note.size - 1)) throw new Broken('its body is missing, and no later event names it', note.size - 1);
  const authors = new Map();
  for (const { author } of entries) if (author) authors.set(author.did, (authors.get(author.did) ?? 0) + 1);
  Object.assign(verdict, {
    size: note.size, firstSeq: Math.min(...seqs), lastSeq: Math.max(...seqs), unconfirmed: missing.sort(byNumber),
    authors: mostFirst(authors), erased: missing.length,
    withheld: entries.filter(({ withheld }) => withheld).map(({ seq }) => seq).sort(byNumber),
  });
  const once = new Set();
  for (const seq of seqs) {
    if (once.has(seq)) throw new Broken('it is in the receipt twice', seq);
    once.add(seq);
  }
  const own = entries.slice(0, chain.length);
  check(own.some(({ id }) => id === receipt.event_id), 'the event that it is about is not in its chain');
  verdict.sentences = new Teller(storyOf(own, entries.slice(chain.length))).tell({ node, log, size: note.size });
}

const byNumber = (one, other) => one - other;

function checkReceiptShape(receipt) {
  checkMembers(receipt, RECEIPT);
  const { v, event_id: id, log, node_did: node, chain, causes, keys, checkpoint } = receipt;
  check(v === 'evlog/receipt/v1', 'its v is not evlog/receipt/v1');
  check(isText(id) && isText(node), 'its event_id or node_did is not a text');
  check(isLogName(log), 'its log is not a name');
  check([chain, causes, keys].every(Array.isArray), 'its chain, causes or keys is not a list');
  check(chain.length > 0 && causes.length <= MAX_CAUSES, `it has no chain, or more than ${MAX_CAUSES} causes`);
  checkShown(checkpoint);
  for (const entry of [...chain, ...causes]) {
    check(isRecord(entry), 'an entry is not an object');
    const names = Object.hasOwn(entry, 'withheld') ? ['event', 'proof', 'withheld'] : ['event', 'proof'];
    checkMembers(entry, names, 'the members of an entry');
    check(isRecord(entry.event) && isSeq(entry.event.seq), 'an event is not an object with a seq');
    check(isProof(entry.proof), 'a proof is not a list of hashes in base64');
  }
}

/** What an entry says, as far as the story needs it. It checks everything but the signature. */
function readEntry({ event, proof, withheld = false }, isOfChain, receipt, { size, root }, verdict) {
  const { seq } = event;
  try {
    check(withheld === false || (withheld === true && !isOfChain), 'it is withheld, but only causes can be withheld');
    const { node_did: node, log, keys } = receipt;
    let [leaf, author] = [null, null];
    if (withheld) leaf = checkWithheld(event, receipt);
    else {
      const alone = walkAlone(event, node, log, keys, verdict.breaks);
      verdict.lost.push(...alone.walk.lost);
      ({ leaf } = alone);
      ({ author } = alone.walk);
    }
    check(isIncluded(leaf, seq, size, proof.map(fromBase64), root), 'it is not in the tree of the checkpoint');
    const { event_id: id, type, timestamp, hash } = event;
    const content = withheld || event.erased ? null : contentOf(event);
    return { seq, id, type, timestamp, hash, withheld, author, content };
  } catch (error) {
    throw new Broken(error instanceof Broken ? error.message : 'it cannot be read as JSON', seq);
  }
}

/** Check an event of which only the header is here. */
function checkWithheld(event, { node_did: node, log, keys }) {
  check(!Object.hasOwn(event, 'erased'), 'it is withheld, but it has a body or is erased');
  checkEvent(event);
  const isEmpty = ['payload', 'context'].every((name) => hasExactly(event[name], []));
  check(isEmpty, 'it is withheld, but it has a body or is erased');
  check(event.node === node && event.log === log, 'it belongs to another node or log');
  check(TIME.test(event.timestamp), 'its timestamp is not UTC with six digits');
  check(event.seq > 0 || event.prev_hash === NO_HASH, 'it is the first, and links to another');
  check(keys.some(({ kid }) => kid === event.kid), 'its key is not one of the keys of the install');
  return checkHeader(event);
}

/** What the body says. */
function contentOf({ payload, context, node }) {
  const { userId: user, source, causationId: cause = null, metadata = {} } = context;
  check(cause === null ? !Object.hasOwn(context, 'causationId') : isText(cause), 'its causationId is not a text');
  check(isRecord(metadata), SYNAP);
  const synap = Object.hasOwn(metadata, 'synap') ? metadata.synap : {};
  check(isRecord(synap), SYNAP);
  return { user, byNode: user === node && source === 'system', cause, payload, data: canonical(payload), synap };
}

/** How the events belong together. Throws Broken at the first one that does not belong to those before it. */
function storyOf(chain, causes) {
  const [first, ...others] = chain;
  let before = first;
  for (const cause of causes) {
    if (before.content?.cause !== cause.id) throw new Broken('it is not the cause of the event before it', cause.seq);
    before = cause;
  }
  const asks = first.content !== null && Object.hasOwn(first.content.synap, 'intent');
  const story = new Story(first, others.length > 0 || asks, causes);
  before = first;
  for (const entry of chain) {
    try {
      if (entry !== first) story.follow(entry, before);
      else if (story.isRequest) story.begin();
    } catch (error) {
      throw error instanceof Broken ? new Broken(error.message, entry.seq) : error;
    }
    before = entry;
  }
  return story;
}

/** Each event names the request by its id, and by its hash if it decides on it or starts it. */
class Story {
  asked = null;
  decision = null;
  end = null;
  uses = [];
  loose = []; // outcomes without a body: nothing says which start they belong to

  constructor(first, isRequest, causes) {
    Object.assign(this, { first, isRequest, causes });
  }

  /** The last word of the type of an event that follows the request. */
  wordOf({ type }) {
    return type.slice(this.first.type.length - 'requested'.length);
  }

  begin() {
    const { type, content } = this.first;
    check(type.endsWith('.requested'), 'other events follow it, but it is not a request');
    if (content === null) return;
    const { intent } = content.synap;
    check(isRecord(intent), SYNAP);
    const said = (name, test) => {
      if (!Object.hasOwn(intent, name)) return null;
      check(test(intent[name]), SYNAP);
      return intent[name];
    };
    const uses = said('uses', isUse) ?? 1;
    const timeoutSeconds = said('timeoutSeconds', isTimeout) ?? 3600;
    const expiresAt = said('expiresAt', isText);
    const approvers = said('approvers', (value) => Array.isArray(value) && value.every(isText));
    const risk = said('risk', (value) => ['low', 'medium', 'high'].includes(value));
    const reversible = said('reversible', (value) => typeof value === 'boolean');
    const parameters = parametersOf(content);
    const isAll = parameters === null || content.data === `{"parameters":${parameters}}`;
    this.asked = {
      parameters: parameters ?? content.data, more: isAll ? null : content.data, uses, approvers, risk, reversible,
      expiresAt, endsAt: expiresAt === null ? after(this.first.timestamp, DAY_SECONDS) : after(expiresAt, 0),
      timeoutSeconds, summary: said('summary', isText),
    };
  }

  follow(entry, before) {
    const isLater = entry.seq > before.seq && entry.timestamp > before.timestamp;
    check(isLater, 'it is not later than the event before it in the receipt');
    const stem = this.first.type.slice(0, -'requested'.length);
    const word = this.wordOf(entry);
    const follows = entry.type.startsWith(stem) && [...DECISIONS, 'started', ...OUTCOMES].includes(word);
    check(follows, 'its type does not follow from the type of the request');
    if (DECISIONS.includes(word)) this.#decide(entry, word);
    else if (word === 'started') this.#start(entry);
    else this.#finish(entry, word);
  }

  #decide(entry, word) {
    if (entry.content !== null) {
      const said = this.#said(entry.content, 'decision');
      check(said.intentHash === this.first.hash, OTHER_REQUEST);
      check(said.decision === word, SYNAP);
      check(!Object.hasOwn(said, 'reason') || isText(said.reason), SYNAP);
      this.#checkDecider(entry.content, word);
    }
    if (this.asked !== null) {
      const isOver = entry.timestamp >= this.asked.endsAt;
      if (word === 'expired') check(isOver, EARLY);
      else check(!isOver, EXPIRED);
    }
    if (this.decision === null) this.decision = entry;
    else {
      const ends = ['expired', 'withdrawn'].includes(word) && this.end === null;
      check(this.wordOf(this.decision) === 'approved' && ends, 'the request was decided on before');
      this.end = entry;
    }
  }

  /** Check that the user of a decision is one who may take it. */
  #checkDecider({ user, byNode }, word) {
    const { asked, first } = this;
    if (word === 'expired') check(byNode, NOT_NODE);
    else if (word === 'withdrawn') check(first.content === null || first.content.user === user, NOT_ASKER);
    else {
      check(asked?.approvers?.includes(user) ?? true, 'its user is not among the approvers that the request names');
    }
  }

  #start(entry) {
    const { decision, asked, first } = this;
    const notApproved = 'it started, but the approval that it names is not before it';
    check(decision !== null && this.wordOf(decision) === 'approved', notApproved);
    check(this.end === null, 'it started after the approval had ended');
    check(asked === null || entry.timestamp < asked.endsAt, EXPIRED);
    const notAllowed = 'it started a use that the request does not allow, or that started before';
    const uses = asked?.uses ?? MAX_USES;
    check(this.uses.length < uses, notAllowed);
    let number = null;
    if (entry.content !== null) {
      const said = this.#said(entry.content, 'start');
      check(said.intentHash === first.hash, OTHER_REQUEST);
      check(said.decisionId === decision.id, notApproved);
      number = said.use;
      check(isUse(number), SYNAP);
      check(number <= uses && this.uses.every((use) => use.number !== number), notAllowed);
      check(first.content === null || first.content.user === entry.content.user, NOT_ASKER);
    }
    this.uses.push({ start: entry, number, outcomes: [] });
  }

  #finish(entry, word) {
    if (entry.content === null) {
      this.loose.push(entry);
      return;
    }
    const said = this.#said(entry.content, 'outcome');
    check(said.outcome === word, SYNAP);
    const use = this.uses.find(({ start }) => start.id === said.startId);
    check(use !== undefined, 'the start that it names is not before it');
    this.#checkReporter(entry, word, use.start);
    const { outcomes } = use;
    const isLate = outcomes.length === 1 && outcomes[0].word === 'unknown' && word !== 'unknown';
    check(outcomes.length === 0 || isLate, 'its start has an outcome already');
    const reported = parametersOf(entry.content);
    const differs = reported !== null && this.asked !== null && reported !== this.asked.parameters;
    outcomes.push({ entry, word, isLate, differs: said.differs === true || differs });
  }

  /** Check that who says how a start ended is the user who started it; that it is unknown, the node says in time. */
  #checkReporter({ content, timestamp }, word, start) {
    if (word !== 'unknown') {
      const starter = start.content ?? this.first.content;
      check(starter === null || starter.user === content.user, 'its user is not the user who started it');
      return;
    }
    check(content.byNode, NOT_NODE);
    check(this.asked === null || timestamp >= after(start.timestamp, this.asked.timeoutSeconds), EARLY);
  }

  /** What an event says of the request that it follows. */
  #said({ synap, cause }, name) {
    check(hasExactly(synap, [name]) && isRecord(synap[name]), SYNAP);
    const said = synap[name];
    check(said.intentId === this.first.id && cause === this.first.id, OTHER_REQUEST);
    return said;
  }

  /** All events of the receipt. */
  entries() {
    const { first, decision, end, uses, loose, causes } = this;
    const used = uses.flatMap(({ start, outcomes }) => [start, ...outcomes.map(({ entry }) => entry)]);
    return [first, decision, end, ...used, ...loose, ...causes].filter((entry) => entry !== null);
  }
}

const isUse = (value) => Number.isInteger(value) && value >= 1 && value <= MAX_USES;
const isTimeout = (value) => Number.isInteger(value) && value >= 1 && value <= MAX_TIMEOUT_SECONDS;

/** The time so many seconds after the one that a text names, as a header prints it. Rounds a seventh digit as servers do. */
function after(text, seconds) {
  const [, day, clock, digits = '', sign, hours = 0, minutes = 0] = INSTANT.exec(text) ?? [];
  const whole = `${day}T${clock}.000Z`;
  const at = new Date(whole);
  check(!isNaN(at) && at.toISOString() === whole && hours < 24 && minutes < 60, SYNAP);
  const micros = Number(digits.slice(0, 6).padEnd(6, '0')) + (digits[6] >= '5');
  const offset = (hours * 60 + +minutes) * (sign === '-' ? 60 : -60);
  at.setTime(+at + (offset + seconds + Math.floor(micros / 1e6)) * 1000);
  const moved = at.toISOString();
  check(INSTANT.test(moved), SYNAP);
  return `${moved.slice(0, 20)}${String(micros % 1e6).padStart(6, '0')}Z`;
}

const parametersOf = ({ payload }) =>
  (Object.hasOwn(payload, 'parameters') ? canonical(payload.parameters) : null);

/** What a receipt proves, in the sentences that `synap verify` prints. */
class Teller {
  #story;
  #hasHidden = false;
  #sentences = [];

  constructor(story) {
    this.#story = story;
  }

  tell({ node, log, size }) {
    if (this.#story.isRequest) this.#chain();
    else this.#event(this.#story.first);
    this.#causes();
    this.#proved(node, log, size);
    if (this.#hasHidden) this.#say(NOTE);
    return this.#sentences;
  }

  #say(sentence) {
    this.#sentences.push(sentence);
  }

  #event(entry) {
    if (entry.content === null) {
      this.#say(`Logged: ${this.#bare(entry)}`);
      return;
    }
    this.#say(`Logged: ${this.#who(entry)} logged ${this.#quoted(entry.type)} on ${at(entry)} (seq ${entry.seq}).`);
    this.#author(entry);
    this.#say(`Its content: ${this.#json(entry.content.data)}`);
  }

  #chain() {
    const { uses, loose } = this.#story;
    this.#asked();
    this.#decided();
    for (const use of uses) this.#used(use);
    for (const entry of loose) this.#say(`Ended: ${this.#bare(entry)} Nothing says which start it belongs to.`);
    this.#ended();
  }

  #asked() {
    const { first, asked } = this.#story;
    if (asked === null) {
      this.#say(`Asked: ${this.#bare(first)} So the file does not say who asked, or for what.`);
      return;
    }
    const { parameters, more, summary, risk, reversible, approvers, expiresAt, uses } = asked;
    this.#say(`Asked: ${this.#who(first)} asked for ${this.#quoted(first.type)} on ${at(first)} (seq ${first.seq}).`);
    this.#author(first);
    this.#say(`Exactly this was asked for: ${this.#json(parameters)}`);
    if (more !== null) this.#say(`The whole content of the request: ${this.#json(more)}`);
    if (summary !== null) this.#say(`The request describes itself as: ${this.#quoted(summary)}`);
    if (risk !== null) this.#say(`The request calls its risk ${risk}.`);
    if (reversible !== null) this.#say(`The request says that it ${reversible ? 'can' : 'cannot'} be reversed.`);
    if (approvers !== null) {
      this.#say(`Only these users could decide: ${approvers.map((user) => this.#quoted(user)).join(', ')}.`);
    }
    if (expiresAt !== null) this.#say(`It could be approved and started before ${this.#quoted(expiresAt)}.`);
    if (uses > 1) this.#say(`It could be started ${uses} times.`);
  }

  #decided() {
    const { decision: entry, first } = this.#story;
    if (entry === null) {
      this.#say('Not decided: the receipt has no decision on this request.');
      return;
    }
    const word = this.#story.wordOf(entry);
    const label = capital(word);
    if (entry.content === null) {
      this.#say(`${label}: ${this.#bare(entry)} So the file does not say by whom.`);
      return;
    }
    const place = `on ${at(entry)} (seq ${entry.seq})`;
    if (word === 'expired') this.#say(`${label}: the time to decide was over, as the node wrote ${place}.`);
    else if (word === 'withdrawn') this.#say(`${label}: ${this.#who(entry)} withdrew this request ${place}.`);
    else {
      this.#say(`${label}: ${this.#who(entry)} ${word} exactly this request ${place}.`);
      const isAsker = first.content !== null && first.content.user === entry.content.user;
      if (isAsker) this.#say(`The user who ${word} it is the user who asked.`);
    }
    this.#reason(entry);
  }

  #reason({ content }) {
    const reason = content?.synap.decision.reason;
    if (reason !== undefined) this.#say(`The reason given: ${this.#quoted(reason)}`);
  }

  #used({ start, number, outcomes }) {
    const { asked, loose } = this.#story;
    const name = number === null ? `the use of seq ${start.seq}` : `use ${number}`;
    if (number === null) this.#say(`Started: ${this.#bare(start)} So the file does not say by whom.`);
    else {
      const of = asked === null ? '' : ` of ${asked.uses}`;
      this.#say(`Started: ${this.#who(start)} started ${name}${of} on ${at(start)} (seq ${start.seq}).`);
    }
    for (const outcome of outcomes) this.#finished(outcome, name);
    if (!outcomes.length && !loose.length) this.#say(`Not finished: the receipt does not say how ${name} ended.`);
  }

  #finished({ entry, word, isLate, differs }, name) {
    const place = `on ${at(entry)} (seq ${entry.seq})`;
    if (word === 'unknown') {
      this.#say(`Unknown: nobody had reported in time how ${name} ended, as the node wrote ${place}.`);
      return;
    }
    const said = word === 'executed' ? 'was executed' : 'failed';
    this.#say(`${capital(word)}: ${this.#who(entry)} reported${isLate ? ', late,' : ''} ${place} that ${name} ${said}.`);
    if (entry.content.data !== '{}') this.#say(`The report: ${this.#json(entry.content.data)}`);
    if (differs) this.#say('Attention: the parameters in this report are not those that were asked for.');
  }

  #ended() {
    const { decision, uses, end: entry } = this.#story;
    const isApproved = decision !== null && this.#story.wordOf(decision) === 'approved';
    if (isApproved && !uses.length) this.#say('Not started: the receipt has no start.');
    if (entry === null) return;
    const word = this.#story.wordOf(entry);
    if (entry.content === null) this.#say(`${capital(word)}: ${this.#bare(entry)}`);
    else if (word === 'expired') {
      this.#say(`Expired: the approval ended on ${at(entry)}, as the node wrote (seq ${entry.seq}).`);
    } else this.#say(`Withdrawn: ${this.#who(entry)} ended the approval on ${at(entry)} (seq ${entry.seq}).`);
    this.#reason(entry);
  }

  #causes() {
    let before = this.#story.first;
    for (const cause of this.#story.causes) {
      const of = `Cause: seq ${before.seq} followed from`;
      if (cause.content === null) this.#say(`${of} ${this.#bare(cause)}`);
      else {
        const how = `${this.#who(cause)} logged as ${this.#quoted(cause.type)} on ${at(cause)}`;
        this.#say(`${of} seq ${cause.seq}, which ${how}.`);
        this.#author(cause);
      }
      before = cause;
    }
    const names = before.content !== null && before.content.cause !== null;
    if (names) this.#say(`Cause: seq ${before.seq} names a cause that is not in this receipt.`);
  }

  #proved(node, log, size) {
    const { decision, uses } = this.#story;
    const entries = this.#story.entries();
    const events = entries.length === 1 ? 'this event' : `each of these ${entries.length} events`;
    this.#say(`Proved: the node ${node} signed ${events}, and nothing in the signed parts was changed since.`);
    const covered = `${size === 1 ? '1 event' : `${size} events`} that its checkpoint covers`;
    this.#say(`Proved: the log ${this.#quoted(log)} has ${events} in its place, among the ${covered}.`);
    if (decision?.content) {
      this.#say('Proved: the decision names the request by its hash, so it is about exactly this request.');
    }
    const allHere = uses.length > 0 && uses.every(({ number }) => number !== null);
    if (allHere) this.#say('Proved: each start names that decision and that hash.');
    this.#say(`Not proved: whose node it is. Compare ${node} with the node that you know from elsewhere.`);
    this.#say('Not proved: that the reports are true. The log has what users and their programs reported.');
    this.#say('Not proved: who a user really is. The node tells users apart by their keys.');
    if (entries.some(({ author }) => author)) {
      this.#say('Not proved: who holds the key of an author. Compare it with the one that you know from elsewhere.');
    }
    this.#say("Not proved: the times. They are those of the node's clock.");
    this.#say('Not proved: that this is everything. Events may be left out of a receipt, or may have come later.');
    if (entries.some(({ content }) => content === null)) {
      this.#say('Not proved: what the events without content said. Their hashes are proved.');
    }
  }

  #author({ author }) {
    if (author) this.#say(`Its author ${author.did} signed exactly this.`);
  }

  /** A sentence about an event without content. */
  #bare({ seq, type, timestamp, withheld }) {
    const gone = withheld ? 'withheld: the key that fetched this receipt may not read it' : 'erased';
    return `seq ${seq}, logged as ${this.#quoted(type)} on ${at({ timestamp })}. Its content is ${gone}.`;
  }

  #who({ content }) {
    return content === null || content.byNode ? 'the node' : `the user ${this.#quoted(content.user)}`;
  }

  /** A text of a stranger in quotation marks. */
  #quoted(text) {
    const [shown, rest] = cut(text);
    return this.#spelled(quoted(shown)) + rest;
  }

  /** Canonical JSON of a stranger. */
  #json(text) {
    const [shown, rest] = cut(text);
    return this.#spelled(shown) + rest;
  }

  #spelled(text) {
    return text.replace(HIDDEN, (found) => {
      this.#hasHidden = true;
      return found.split('').map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`).join('');
    });
  }
}

const at = ({ timestamp }) => `${timestamp.slice(0, 10)} at ${timestamp.slice(11, 19)} UTC`;

const capital = (word) => word[0].toUpperCase() + word.slice(1);

/** The beginning of a text, and a remark if that is not all of it. */
function cut(text) {
  const characters = text.length > MAX_SHOWN ? [...text] : [];
  if (characters.length <= MAX_SHOWN) return [text, ''];
  return [characters.slice(0, MAX_SHOWN).join(''), ` … (${MAX_SHOWN} of ${characters.length} characters; the file has all)`];
}

// What an input is.

const BOM = [0xef, 0xbb, 0xbf];
const AS_UTF8 = 'save it as UTF-8';

/** How other kinds of files begin, what they are, and the remedy. */
const KINDS = [
  [[0xff, 0xfe, 0, 0], `is text in UTF-32; ${AS_UTF8}`],
  [[0, 0, 0xfe, 0xff], `is text in UTF-32; ${AS_UTF8}`],
  [[0xff, 0xfe], `is text in UTF-16; ${AS_UTF8}`],
  [[0xfe, 0xff], `is text in UTF-16; ${AS_UTF8}`],
  [[0x1f, 0x8b], 'is compressed by gzip twice; decompress it (gzip -d)'],
  [[0x50, 0x4b, 3, 4], 'is a zip archive; unpack it (unzip)'],
  [[0x28, 0xb5, 0x2f, 0xfd], 'is compressed by zstd; decompress it (zstd -d)'],
  [[0xfd, 0x37, 0x7a, 0x58, 0x5a, 0], 'is compressed by xz; decompress it (xz -d)'],
  [[0x42, 0x5a, 0x68], 'is compressed by bzip2; decompress it (bzip2 -d)'],
  [[0x3c], 'is a page in HTML, or XML; fetch the data itself, with the token that it needs'],
];

const begins = (bytes, start) => start.every((octet, at) => bytes[at] === octet);

/** The bytes of the text, decompressed, without a byte order mark. Any other input is returned as it is. */
async function opened(input) {
  if (typeof input === 'string') return input.replace(/^\uFEFF/, '');
  if (!(input instanceof Uint8Array)) return input;
  const bytes = begins(input, [0x1f, 0x8b]) ? await gunzipped(input) : input;
  for (const [start, because] of KINDS) if (begins(bytes, start)) throw new Unreadable(because);
  return begins(bytes, BOM) ? bytes.subarray(BOM.length) : bytes;
}

async function gunzipped(bytes) {
  try {
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('gzip'));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  } catch {
    throw new Unreadable('is gzip that is damaged or ends too early; fetch it again');
  }
}

/** Why a value is no export, proof or receipt; null if it is one, even a broken one. */
function other(value) {
  if (!isRecord(value)) return 'is JSON, but not an object; exports and proofs are objects';
  const has = (name) => Object.hasOwn(value, name);
  if (['export_id', 'chain_root_hash', 'chain_tip_hash', 'bundle_signature'].some(has)) return null;
  if (['event', 'proof'].every(has) || isConsistency(value) || isReceipt(value)) return null;
  if (has('note')) return 'is a checkpoint, not an export';
  if (has('error')) return 'is an error that a server returned; fetch it again';
  if (has('result')) return 'is a whole answer of tRPC or MCP; save only its result.data or result.structuredContent';
  return 'is JSON, but neither an export, a proof nor a receipt';
}

// Small questions about JSON.

function check(right, message) {
  if (!right) throw new Broken(message);
}

function checkEach(record, names, test, otherwise) {
  for (const name of names) if (!test(record[name])) throw new Broken(`its ${name} ${otherwise}`);
}

/**
 * The value of the input, how many members each of its `events` has in the text (null if it is no text), and whether a name
 * stands twice outside of these.
 */
function parsed(input) {
  let [value, bytes] = [input, null];
  try {
    if (typeof input === 'string') [value, bytes] = [JSON.parse(input), encoder.encode(input)];
    else if (input instanceof Uint8Array) [value, bytes] = [JSON.parse(UTF8.decode(input)), input];
  } catch {
    const isEmpty = typeof input === 'string' ? !input.trim() : input.every((octet) => octet <= 0x20);
    throw new Unreadable(isEmpty ? 'is empty' : 'is not JSON in UTF-8');
  }
  if (bytes === null) return { value, written: null, hasTwice: false };
  const events = Array.isArray(value?.events) ? value.events : null;
  const { outside, inEvents } = writtenMembers(bytes, events !== null);
  return { value, written: inEvents, hasTwice: members(value, events) !== outside };
}

/**
 * How many members JSON text has, counting a name each time it stands there: in each element of the list `events` of the
 * outermost object, if it has one, and outside of that.
 *
 * JSON.parse keeps the last of equal names, other readers the first, so none may stand twice (I-JSON, RFC 7493, section
 * 2.3).
 */
function writtenMembers(bytes, hasEvents) {
  const inEvents = [];
  let [outside, depth, inList, start, end] = [0, 0, false, 0, 0];
  for (let at = 0; at < bytes.length; at += 1) {
    switch (bytes[at]) {
      case 0x22: // "
        start = at;
        for (at += 1; bytes[at] !== 0x22; at += 1) if (bytes[at] === 0x5c) at += 1;
        end = at + 1;
        break;
      case 0x3a: // :
        if (inList) inEvents[inEvents.length - 1] += 1;
        else outside += 1;
        break;
      case 0x2c: // ,
        if (inList && depth === 2) inEvents.push(0);
        break;
      case 0x5b: // [
        depth += 1;
        inList ||= hasEvents && depth === 2 && JSON.parse(UTF8.decode(bytes.subarray(start, end))) === 'events';
        if (inList && depth === 2) inEvents.push(0);
        break;
      case 0x7b: // {
        depth += 1;
        break;
      case 0x5d: // ]
      case 0x7d: // }
        depth -= 1;
        if (depth === 1) inList = false;
    }
  }
  return { outside, inEvents };
}

/** How many members a value has, at any depth, except in `except`. Without recursion, because strangers nest deep. */
function members(value, except = null) {
  let count = 0;
  const open = [value];
  while (open.length) {
    const one = open.pop();
    if (typeof one !== 'object' || one === null || one === except) continue;
    const inside = Array.isArray(one) ? one : Object.values(one);
    if (inside !== one) count += inside.length;
    for (const item of inside) if (typeof item === 'object') open.push(item);
  }
  return count;
}

const isRecord = (value) => typeof value === 'object' && value !== null && !Array.isArray(value);
const isText = (value) => typeof value === 'string' && value.isWellFormed();
const isPlain = (value) => PLAIN.test(value);
const isSeq = (value) => Number.isSafeInteger(value) && value >= 0;
const isLogName = (value) => isPlain(value) && /^[^ /+]+$/.test(value);
const isProof = (value) => Array.isArray(value) && value.every((one) => isText(one) && fromBase64(one)?.length === 32);
const isHash = (value) => typeof value === 'string' && HASH.test(value);

function checkMembers(value, names, what = 'its members') {
  const right = isRecord(value) && hasExactly(value, names);
  check(right, `${what} are not ${names.join(', ')}`);
}

function hasExactly(value, names) {
  return Object.keys(value).length === names.length && names.every((name) => Object.hasOwn(value, name));
}

/** JCS (RFC 8785). Throws Broken for a value that JSON.parse accepts but JCS cannot express. */
export function canonical(value, depth = 0) {
  if (typeof value === 'string') return quoted(value);
  if (typeof value === 'number') return numeral(value);
  if (value === null || typeof value === 'boolean') return String(value);
  check(typeof value === 'object', 'it has a value that is not JSON');
  check(depth <= MAX_DEPTH, 'it is nested too deeply');
  let text = '';
  if (Array.isArray(value)) {
    for (const item of value) text += `${text && ','}${canonical(item, depth + 1)}`;
    return `[${text}]`;
  }
  // Sorted by UTF-16 code units. Not JSON.stringify of a sorted copy: JavaScript puts members like "10" first.
  for (const name of Object.keys(value).sort()) {
    text += `${text && ','}${quoted(name)}:${canonical(value[name], depth + 1)}`;
  }
  return `{${text}}`;
}

function quoted(text) {
  check(text.isWellFormed(), 'it has a text that is not Unicode');
  return JSON.stringify(text);
}

function numeral(value) {
  check(Number.isFinite(value), 'it has a number beyond a double');
  const text = String(value);
  // Readers may differ on a larger integer. From 1e21 on the text has an exponent, so it is no integer.
  const safe = !Number.isInteger(value) || Number.isSafeInteger(value) || text.includes('e');
  check(safe, 'it has an integer beyond 2^53-1');
  return text;
}

// Keys and signatures.

/** Keys by kid. Each is imported once. */
class Keyring {
  #bytes = new Map();
  #keys = new Map();

  /** The 32 bytes of the key that a kid names (did:key, 3.1.1), or null. */
  bytes(kid) {
    if (!this.#bytes.has(kid)) {
      const bytes = KID.test(kid) ? unbase58(kid.slice(1)) : null;
      this.#bytes.set(kid, bytes && isKey(bytes) ? bytes : null);
    }
    return this.#bytes.get(kid);
  }

  /** Whether `signature` (64 bytes, or base64 of them) over `text` is by the key that `kid` names. */
  async signed(kid, text, signature) {
    const bytes = typeof signature === 'string' ? fromBase64(signature) : signature;
    if (bytes?.length !== 64 || !isSignature(bytes) || this.bytes(kid) === null) return false;
    if (!this.#keys.has(kid)) this.#keys.set(kid, imported(this.bytes(kid)));
    return crypto.subtle.verify(ED25519, await this.#keys.get(kid), bytes, encoder.encode(text));
  }
}

// Platforms disagree about keys and signatures that no signer makes, and many accept a key of small order, for which
// one signature fits every text. So these are refused here, before the platform is asked.

/** Whether points are of the prime order. To find that out takes milliseconds, and a log has few keys. */
const ORDERS = new Map();
const MAX_ORDERS = 1000;

/** Whether 32 bytes are a point of the prime order in its canonical form (y < p). */
function isKey(bytes) {
  const y = coordinate(bytes);
  if (y >= FIELD || SMALL_ORDER.has(y)) return false;
  if (ORDERS.size === MAX_ORDERS) ORDERS.clear();
  if (!ORDERS.has(y)) ORDERS.set(y, hasPrimeOrder(y));
  return ORDERS.get(y);
}

/** Whether R is canonical and not of small order, and S is below the order: another S would fit the same text. */
function isSignature(bytes) {
  const y = coordinate(bytes.subarray(0, 32));
  return y < FIELD && !SMALL_ORDER.has(y) && number(bytes.subarray(32)) < ORDER;
}

/** The y of a point. The highest bit is the sign of x, on which no order depends. */
const coordinate = (bytes) => BigInt.asUintN(255, number(bytes));

/** Little-endian. */
const number = (bytes) => BigInt(`0x${hex(bytes.slice().reverse())}`);

function modulo(value) {
  return ((value % FIELD) + FIELD) % FIELD;
}

/** Whether the points with this y exist, and their multiple by the order is the neutral element. */
function hasPrimeOrder(y) {
  const x = xOf(y);
  if (x === null) return false;
  const point = [x, y, 1n, modulo(x * y)];
  let sum = [0n, 1n, 1n, 0n];
  for (const bit of ORDER.toString(2)) {
    sum = added(sum, sum);
    if (bit === '1') sum = added(sum, point);
  }
  return sum[0] === 0n && sum[1] === sum[2];
}

/** One of the two x of the points with this y, or null (RFC 8032, section 5.1.3). */
function xOf(y) {
  const u = modulo(y * y - 1n);
  const v = modulo(CURVE_D * y * y + 1n);
  const x = modulo(u * power(v, 3n) * power(modulo(u * power(v, 7n)), (FIELD - 5n) / 8n));
  const found = modulo(v * x * x);
  if (found === u) return x;
  return found === modulo(-u) ? modulo(x * ROOT_OF_MINUS_1) : null;
}

function power(base, exponent) {
  let result = 1n;
  for (const bit of exponent.toString(2)) {
    result = (result * result) % FIELD;
    if (bit === '1') result = (result * base) % FIELD;
  }
  return result;
}

/** The sum of two points in extended coordinates (RFC 8032, section 5.1.4). */
function added([x1, y1, z1, t1], [x2, y2, z2, t2]) {
  const a = (y1 - x1) * (y2 - x2);
  const b = (y1 + x1) * (y2 + x2);
  const c = 2n * modulo(t1 * t2) * CURVE_D;
  const d = 2n * z1 * z2;
  const [e, f, g, h] = [b - a, d - c, d + c, b + a].map(modulo);
  return [e * f, g * h, f * g, e * h].map(modulo);
}

const imported = (raw) => crypto.subtle.importKey('raw', raw, ED25519, false, ['verify']);

/** The kid of a key: `z`, and base58 of its type and its 32 bytes. */
function kidOf(key) {
  let rest = BigInt(`0xed01${hex(key)}`);
  let text = '';
  for (; rest > 0n; rest /= 58n) text = BASE58[Number(rest % 58n)] + text;
  return `z${text}`;
}

function unbase58(text) {
  let number = 0n;
  for (const digit of text) number = number * 58n + BigInt(BASE58.indexOf(digit));
  const digits = number.toString(16);
  if (!/^ed01[0-9a-f]{64}$/.test(digits)) return null;
  return unhex(digits.slice(4));
}

/** Throws if the platform has no Ed25519, so that this is not reported as wrong signatures. */
async function needEd25519() {
  try {
    await imported(unbase58('6MktwupdmLXVVqTzCw4i46r4uGyosGXRnR3XjN4Zq7oMMsw')); // RFC 8032, section 7.1, test 1
  } catch (cause) {
    throw new Error('Ed25519 is missing here: it needs node 20, or a browser of 2025 and a page over https', { cause });
  }
}

// Bytes.

/** The bytes of base64 that encodes to the same text again; null for any other text. */
function fromBase64(text) {
  try {
    const octets = atob(text);
    return btoa(octets) === text ? bytesOf(octets) : null;
  } catch {
    return null;
  }
}

/** The bytes of a text in which each character stands for one. */
const bytesOf = (octets) => Uint8Array.from(octets, (character) => character.charCodeAt(0));

/** The bytes of digits in hex. */
const unhex = (digits) => Uint8Array.from(digits.match(/../g), (octet) => parseInt(octet, 16));

const base64 = (bytes) => btoa(String.fromCharCode(...bytes));

const OCTETS = Array.from({ length: 256 }, (_, octet) => octet.toString(16).padStart(2, '0'));

function hex(bytes) {
  let text = '';
  for (const octet of bytes) text += OCTETS[octet];
  return text;
}

function joined(left, right) {
  const bytes = new Uint8Array(left.length + right.length);
  bytes.set(left);
  bytes.set(right, left.length);
  return bytes;
}

// SHA-256 (FIPS 180-4). WebCrypto's is asynchronous, which is too slow for one call for each event and node of the tree.

const PRIMES = [];
for (let n = 2; PRIMES.length < 64; n += 1) if (PRIMES.every((prime) => n % prime)) PRIMES.push(n);
const fraction = (root) => ((root % 1) * 2 ** 32) | 0;
const ROUNDS = Int32Array.from(PRIMES, (prime) => fraction(Math.cbrt(prime)));
const START = Int32Array.from(PRIMES.slice(0, 8), (prime) => fraction(Math.sqrt(prime)));
const schedule = new Int32Array(64);
const state = new Int32Array(8);
let block = new Uint8Array(1 << 16);

/** The hash of a text (as UTF-8) or of bytes, after the octet `prefix` if there is one: 32 bytes. */
function sha256(input, prefix) {
  const start = prefix === undefined ? 0 : 1;
  const most = input.length * (typeof input === 'string' ? 3 : 1) + 80;
  if (most > block.length) block = new Uint8Array(2 * most);
  if (start) block[0] = prefix;
  let end = start;
  if (typeof input === 'string') end += encoder.encodeInto(input, start ? block.subarray(1) : block).written;
  else {
    block.set(input, start);
    end += input.length;
  }
  const whole = ((end + 72) >>> 6) << 6;
  block.fill(0, end, whole);
  block[end] = 0x80;
  for (let [at, bits] = [whole - 1, end * 8]; bits > 0; at -= 1, bits = Math.floor(bits / 256)) block[at] = bits % 256;

  state.set(START);
  for (let at = 0; at < whole; at += 64) compress(at);
  const hash = new Uint8Array(32);
  for (let at = 0; at < 32; at += 1) hash[at] = state[at >> 2] >>> (24 - 8 * (at & 3));
  return hash;
}

function compress(start) {
  for (let t = 0, at = start; t < 16; t += 1, at += 4) {
    schedule[t] = (block[at] << 24) | (block[at + 1] << 16) | (block[at + 2] << 8) | block[at + 3];
  }
  for (let t = 16; t < 64; t += 1) {
    const x = schedule[t - 15];
    const y = schedule[t - 2];
    const s0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
    const s1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
    schedule[t] = (schedule[t - 16] + s0 + schedule[t - 7] + s1) | 0;
  }
  let a = state[0];
  let b = state[1];
  let c = state[2];
  let d = state[3];
  let e = state[4];
  let f = state[5];
  let g = state[6];
  let h = state[7];
  for (let t = 0; t < 64; t += 1) {
    const s1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
    const one = (h + s1 + (g ^ (e & (f ^ g))) + ROUNDS[t] + schedule[t]) | 0;
    const s0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
    const two = (s0 + ((a & b) | (c & (a | b)))) | 0;
    h = g;
    g = f;
    f = e;
    e = (d + one) | 0;
    d = c;
    c = b;
    b = a;
    a = (one + two) | 0;
  }
  state[0] += a;
  state[1] += b;
  state[2] += c;
  state[3] += d;
  state[4] += e;
  state[5] += f;
  state[6] += g;
  state[7] += h;
}

// The command.

const USAGE = `usage: verify.mjs [--node DID] [--checkpoint FILE [--consistency FILE]] [--audit FILE] [--policy FILE] FILE|URL

FILE is an export in JSON, a receipt, the proof of one event, or a consistency proof, which needs --checkpoint. URL is the
address of one of these, or of a ledger, to which /events/export is added. The environment variable SYNAP_TOKEN has the token of
the ledger.

--node         The node whose log it must be (did:key:z…). Anyone can sign a log of their own.
--checkpoint   A file with a checkpoint that was kept elsewhere. The log must begin with all events that it covers.
--consistency  A file with the consistency proof from that checkpoint to the one in the export. It is needed if the
               export is only a part of the log.
--audit        A file with pages of GET /audit, one on each line. It must agree with what the log says of the audit.
--policy       A file with the logs and witnesses that you trust (C2SP tlog-policy), for a proof that travels.`;

const OPTIONS = ['--node', '--checkpoint', '--consistency', '--audit', '--policy'];

const NOT_WITNESSED =
  'no cosignature was verified; name the log and the witnesses that you trust with --policy FILE';

const NOT_PINNED =
  'not pinned: it is consistent, but nothing shows whose log it is; name its node with --node did:key:z…';

/**
 * The exit code. 0: verified. 1: broken. 2: not read. 3: verified, except for breaks, lost events, unconfirmed or kept
 * bodies, or an audit that the log does not cover.
 */
async function command(args, { env, stdout, stderr }) {
  const options = {};
  const rest = [];
  for (let place = 0; place < args.length; place++) {
    if (OPTIONS.includes(args[place]) && place + 1 < args.length) options[args[place]] = args[++place];
    else rest.push(args[place]);
  }
  if (rest.includes('--help')) {
    stdout.write(`${USAGE}\n`);
    return 0;
  }
  const wanted = options['--node'] ?? null;
  const [source, ...others] = rest;
  if (!source || others.length || source.startsWith('-')) {
    stderr.write(`${USAGE}\n`);
    return 2;
  }
  const given = {};
  for (const [name, read] of [['checkpoint', parseCheckpoint], ['consistency', parseConsistency]]) {
    const file = options[`--${name}`];
    if (file === undefined) continue;
    try {
      given[name] = UTF8.decode(await opened(await contents(file)));
      await read(given[name]);
    } catch (error) {
      stderr.write(`${file} cannot be read: ${error.message}\n`);
      return 2;
    }
  }
  if (options['--policy'] !== undefined) {
    try {
      given.policy = parsePolicy(new Uint8Array(await contents(options['--policy'])));
    } catch (error) {
      stderr.write(`${options['--policy']} cannot be used: ${error.message}\n`);
      return 2;
    }
  }
  let verdict;
  try {
    const bytes = /^https?:\/\//i.test(source) ? await download(source, env.SYNAP_TOKEN) : await contents(source);
    const progress = (done, total) => stderr.write(`\r${done} of ${total} events`);
    verdict = await verify(bytes, stderr.isTTY ? { ...given, progress } : given);
  } catch (error) {
    stderr.write(`${source} cannot be read: ${error.cause?.message ?? error.message}\n`);
    return 2;
  }
  if (stderr.isTTY) stderr.write('\r\x1b[K');
  if (verdict.unreadable) {
    stderr.write(`${source} cannot be read: it ${verdict.unreadable}.\n`);
    return 2;
  }
  const { kind, node, breaks, lost, unconfirmed, kept, withheld = [], sentences = [] } = verdict;
  const misplaced = misplacedOption(kind, given, options['--audit']);
  if (misplaced) {
    stderr.write(`${misplaced}\n`);
    return 2;
  }
  const another = wanted !== null && node !== wanted ? { seq: null, message: `it is of the node ${node}` } : null;
  const broken = verdict.broken ?? another;
  if (broken) stdout.write(`${broken.seq === null ? kind : `seq ${broken.seq}`}: ${broken.message}\n`);
  else {
    const lines = [summary(verdict, given.checkpoint), ...sentences, ...authorLines(verdict)];
    for (const line of lines) stdout.write(`${line}\n`);
  }
  for (const { kid_old: old, kid_new: kid, rotated_at: at } of breaks) {
    stdout.write(`break: the key ${old} did not sign the rotation to ${kid} at ${at}\n`);
  }
  for (const { seq, size, root } of lost) {
    stdout.write(`seq ${seq}: lost events: the log does not extend a checkpoint of ${size} events, root ${root}\n`);
  }
  const behind = kind === 'proof' ? 'it' : 'this part';
  for (const seq of unconfirmed) {
    stdout.write(`seq ${seq}: its body is missing; its erasure may be recorded after ${behind}\n`);
  }
  for (const seq of kept) stdout.write(`seq ${seq}: it was erased, but its body is here\n`);
  for (const seq of withheld) stdout.write(`seq ${seq}: its body is withheld\n`);
  for (const { name, key, at } of (!broken && verdict.cosigned) || []) {
    stdout.write(`cosigned at ${timeOf(at)} by the witness ${name} (${key})\n`);
  }
  if (broken) return 1;
  if (kind === 'tlog-proof' && !given.policy) stderr.write(`${NOT_WITNESSED}\n`);
  if (wanted === null && !given.policy) stderr.write(`${NOT_PINNED}\n`);
  const audited = options['--audit'] ? await auditCode(options['--audit'], verdict, { stdout, stderr }) : 0;
  if (audited) return audited;
  return [breaks, lost, unconfirmed, kept, withheld].some((each) => each.length) ? 3 : 0;
}

/** The message for an option that does not fit the evidence; null if all fit. */
function misplacedOption(kind, { checkpoint, consistency, policy }, audit) {
  if (policy !== undefined && kind !== 'tlog-proof') return '--policy is for a proof that travels (.tlog-proof).';
  if (['proof', 'receipt', 'tlog-proof'].includes(kind) && checkpoint !== undefined) {
    return '--checkpoint is for an export or a consistency proof, not for the proof of single events.';
  }
  if (consistency !== undefined && (kind !== 'bundle' || checkpoint === undefined)) {
    return '--consistency is for an export, together with --checkpoint.';
  }
  return kind !== 'bundle' && audit !== undefined ? '--audit is for an export, not for a proof or a receipt.' : null;
}

async function auditCode(file, { log, tips }, { stdout, stderr }) {
  let text;
  try {
    text = await contents(file);
  } catch (error) {
    stderr.write(`${file} cannot be read: ${error.message}\n`);
    return 2;
  }
  const { count, firstSeq, lastSeq, covered, broken } = verifyAudit(text, { log, tips });
  if (broken?.seq === null) {
    stderr.write(`${file} is no audit: ${broken.message}\n`);
    return 2;
  }
  if (broken) {
    stdout.write(`audit seq ${broken.seq}: ${broken.message}\n`);
    return 1;
  }
  const covers = covered === null ? `no event ${AUDIT_TIP} of the log covers` : 'the log covers';
  const up = covered === null ? '' : ` up to seq ${covered}`;
  const [entries, verb] = count === 1 ? ['entry', 'verifies'] : ['entries', 'verify'];
  stdout.write(`${count} ${entries} of the audit of ${log} ${verb}: seq ${firstSeq} to ${lastSeq}; ${covers} them${up}\n`);
  return covered === null ? 3 : 0;
}

/** Who signed events as their author, and what an erasure leaves of that. */
function authorLines({ authors, erased }) {
  const [shown, others] = [authors.slice(0, MAX_AUTHORS), authors.slice(MAX_AUTHORS)];
  const lines = shown.map(({ did, events }) => `signed by the author ${did}: ${numbered(events)}`);
  const rest = others.reduce((sum, { events }) => sum + events, 0);
  if (others.length) lines.push(`signed by ${others.length} other authors: ${numbered(rest)}`);
  if (erased === 1) lines.push('1 event is erased: if its author had signed it, that signature is gone');
  else if (erased) lines.push(`${erased} events are erased: if their authors had signed them, those signatures are gone`);
  return lines;
}

const numbered = (events) => (events === 1 ? '1 event' : `${events} events`);

/** A time in seconds since 1970, which a witness may have set to anything. */
function timeOf(at) {
  const time = new Date(at * 1000);
  return at < 253402300800 ? `${time.toISOString().slice(0, 19)}Z` : `${at} s after 1970`;
}

function summary({ kind, log, node, count, firstSeq, lastSeq, size, cosigned }, checkpoint) {
  if (kind === 'consistency') {
    const covered = numbered(parseCheckpoint(checkpoint).size);
    return `the log ${log} of ${numbered(size)} extends the kept checkpoint of ${covered}, node ${node}`;
  }
  const of = `${numbered(count)} of the log ${log}`;
  if (kind === 'tlog-proof') {
    const witnesses = cosigned && `${cosigned.length === 1 ? '1 witness' : `${cosigned.length} witnesses`} cosigned`;
    const which = witnesses ? `, which ${witnesses}` : '';
    return `${of} is under the checkpoint of _node of ${numbered(size)}${which}: seq ${firstSeq}, node ${node}`;
  }
  if (kind === 'proof') return `${of} is in its tree of ${numbered(size)}: seq ${firstSeq}, node ${node}`;
  if (kind === 'receipt') return `the receipt of ${of} verifies, node ${node}`;
  if (count === 0) return `${of} verify, node ${node}`;
  if (count === 1) return `${of} verifies: seq ${firstSeq}, node ${node}`;
  return `${of} verify: seq ${firstSeq} to ${lastSeq}, node ${node}`;
}

async function contents(file) {
  const { readFile } = await import('node:fs/promises');
  return readFile(file);
}

async function download(address, token) {
  const url = new URL(address);
  const has = /\/events\/(export|[^/]+\/(proof|receipt))$/.test(url.pathname);
  if (!has) url.pathname = `${url.pathname.replace(/\/$/, '')}/events/export`;
  // What fetch says of a header that cannot be sent repeats it.
  if (token && !/^[!-~]+$/.test(token)) throw new Error('SYNAP_TOKEN is not a token');
  const answer = await fetch(url, token ? { headers: { Authorization: `Bearer ${token}` } } : {});
  if (!answer.ok) throw new Error(`it answered ${answer.status}`);
  return new Uint8Array(await answer.arrayBuffer());
}

async function isCommand() {
  if (!globalThis.process?.versions?.node || !process.argv[1]) return false;
  const [{ realpathSync }, { pathToFileURL }] = await Promise.all([import('node:fs'), import('node:url')]);
  try {
    return import.meta.url === pathToFileURL(realpathSync(process.argv[1])).href;
  } catch {
    return false; // run from something that is no file
  }
}

if (await isCommand()) process.exitCode = await command(process.argv.slice(2), process);
