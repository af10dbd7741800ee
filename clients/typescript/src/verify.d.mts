/** Judges exports, proofs and audits of a log in the page itself. Needs Ed25519: Chrome 137, Firefox 129, Safari 17. */

/** The text, its bytes, or the object that `JSON.parse` returned. */
export type Judged = string | Uint8Array | object

/** What is wrong. `seq` is null if it is the input as a whole. */
export interface Fault {
  seq: number | null
  message: string
}

export interface Verdict {
  kind: 'bundle' | 'proof' | 'consistency' | 'receipt' | 'tlog-proof'
  /** Null if nothing could be read. */
  log: string | null
  /** The DID of the install that signed it. Compare it with the one that you know. */
  node: string | null
  count: number
  firstSeq: number | null
  lastSeq: number | null
  /** How many events the checkpoint covers. */
  size: number | null
  /** Null if everything verifies. */
  broken: Fault | null
  /** What the input is, if it is no export or proof. */
  unreadable?: string
  /** Rotations of the signing key that the old key did not sign. */
  breaks: { seq: number | null; kid_old: string; kid_new: string; rotated_at: string }[]
  /** Losses that an administrator accepted. */
  lost: { seq: number; size: number; root: string }[]
  /** The ends of audits that the log names, for `verifyAudit`. */
  tips: Tip[]
  /** The seqs of events whose bodies are missing, and whose erasure is not in this part. */
  unconfirmed: number[]
  /** The seqs of events whose bodies are here although they were erased. */
  kept: number[]
  /** Who signed events as their author, the most events first. */
  authors: { did: string; events: number }[]
  /** How many bodies are missing. If their authors had signed them, those signatures are gone. */
  erased: number
  /** Only of a receipt: the seqs of events of which it shows only the header. */
  withheld?: number[]
  /** Only of a receipt: what it proves and what it does not, for a person. Empty if it is broken. */
  sentences?: string[]
  /** Only of a proof that travels: the witnesses of the policy that cosigned, in seconds since 1970; null without one. */
  cosigned?: { name: string; key: string; at: number }[] | null
}

/** The end of an audit. */
export interface Tip {
  told_at: number
  log: string
  seq: number
  hash: string
}

export interface Options {
  progress?: (done: number, total: number) => void
  /** The text of an earlier checkpoint that was kept. The log must extend it. */
  checkpoint?: string
  /** A consistency proof from that checkpoint to the one in the export. */
  consistency?: Judged
  /** The logs and witnesses that you trust, for a proof that travels. */
  policy?: Policy
}

/** A trust policy (C2SP tlog-policy), as `parsePolicy` returns it. */
export interface Policy {
  readonly quorum: string | null
}

/** Checks whether an export is what its install signed. */
export function verifyBundle(bundle: Judged, options?: Options): Promise<Verdict>
/** Checks whether one event is in its log. */
export function verifyProof(proof: Judged): Promise<Verdict>
/** Checks whether a log extends a kept checkpoint. */
export function verifyConsistency(proof: Judged, options?: Pick<Options, 'checkpoint'>): Promise<Verdict>
/** Checks a proof that travels (`.tlog-proof`): that an event is in its log, and that witnesses saw it there. */
export function verifyTlogProof(
  proof: string | Uint8Array,
  options?: Pick<Options, 'policy'>,
): Promise<Verdict>
/** The policy in a text or its bytes. Throws unless that is a trust policy. */
export function parsePolicy(input: string | Uint8Array): Policy
/** Checks a receipt, and explains it in `sentences`. */
export function verifyReceipt(receipt: Judged): Promise<Verdict>
/** Checks an export, a receipt or either proof; `kind` says which it was. */
export function verify(any: Judged, options?: Options): Promise<Verdict>

export interface Checkpoint {
  origin: string
  size: number
  root: Uint8Array
}

/** The contents of a checkpoint. Throws if the text is no checkpoint. It does not check the signatures. */
export function parseCheckpoint(text: string): Checkpoint
/** The contents of a consistency proof. Rejects if the input is none. It checks nothing. */
export function parseConsistency(input: Judged): Promise<object>
/** `covered` is the last entry that the log covers; null if it covers none. */
export interface AuditVerdict {
  log: string
  count: number
  firstSeq: number
  lastSeq: number
  covered: number | null
  broken: Fault | null
}

/** Checks whether an audit agrees with its log. */
export function verifyAudit(
  input: string | Uint8Array,
  about: { log: string; tips: Tip[] },
): AuditVerdict
/** Whether `signature` (base64) over `text` is by the key that `kid` names. */
export function isSignedBy(kid: string, text: string, signature: string): Promise<boolean>
/**
 * Who signed an event in the ledger's form as its author (`metadata.synap.author`), and whether the signature is right.
 * Null if the event has no author. `did` is null if its author is not a did and a signature.
 */
export function authorOf(event: object): Promise<{ did: string | null; right: boolean } | null>
/** What the `body_hash` of an event in the ledger's form has to be. Throws for what no log holds. */
export function bodyHash(event: { payload: object; context: object }): string
/** What the `hash` of an event in the ledger's form has to be. */
export function headerHash(event: object): string
/** The root, in base64, to which the proof of an event leads; null if it leads to none. */
export function provenRoot(proof: object): string | null
/** JSON in its canonical form (RFC 8785). Throws for what no log holds. */
export function canonical(value: unknown): string
