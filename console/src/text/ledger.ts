export enum words {
  title = 'Ledger',
  node = 'Node',
  nodeLead = 'Who signs this log. Compare the id with the one that you know.',
  did = 'Id',
  origin = 'Origin',
  publicKey = 'Public key',
  keys = 'Signing keys',
  since = 'Since',
  first = 'the beginning',
  succession = 'Signed by',
  bothSigned = 'the key before it, and itself',
  oldLost = 'itself only: the key before it was lost',
  checkpoint = 'Checkpoint',
  checkpointLead = 'Keep it elsewhere. It reveals any later change of the log.',
  note = 'the checkpoint',
  copyNote = 'Copy the checkpoint',
  vkey = 'the verifier key',
  copyVkey = 'Copy the verifier key',
  renew = 'Renew',
  consistency = 'Compare checkpoints',
  consistencyLead = 'Whether the log still begins with what you kept. Your browser judges it.',
  earlier = 'A checkpoint that you kept',
  later = 'Another one',
  laterHint = 'Without it the first one is compared with the log as it is now.',
  compare = 'Compare',
  noCheckpoint = 'That is no checkpoint. Paste the whole note, with its signature.',
  insecure = 'Your browser judges signatures only on pages over HTTPS or on localhost.',
  proof = 'Prove an event',
  theProof = 'the proof',
  proofLead = 'That an event is in the log, for somebody who does not trust the server.',
  eventId = 'Id of the event',
  prove = 'Prove it',
  copyProof = 'Copy the proof',
  bundle = 'Verify a file',
  bundleLead = 'Drop an export, a receipt or a proof here. It does not leave your browser.',
  file = 'File',
  fileHint = 'JSON, also compressed by gzip.',
  kept = 'Checkpoint that you kept',
  keptHint = 'Paste it before you choose the file. The export has to extend it.',
  verified = 'verified',
  notVerified = 'not verified',
  signedBy = 'Signed by',
}

export const size = (count: string) => `It covers ${count} events.`
export const judging = (name: string, size: string, percent: number) => `Verifying ${name} (${size}): ${percent} %`
export const at = (seq: string) => `At place ${seq}:`
export const covers = {
  bundle: (count: string, _: string) => `Every hash, link and signature of ${count} events is right.`,
  proof: (_: string, size: string) => `The event is in the log of ${size} events.`,
  consistency: (_: string, size: string) => `The log of ${size} events begins with it.`,
  receipt: (count: string, size: string) => `Each of its ${count} events is in the log of ${size} events.`,
  'tlog-proof': () => 'The event is in its log. This page does not check who witnessed that: use synap verify with a policy.',
}
export const breaks = (count: string) => `${count} changes of the signing key were not signed by the old key.`
export const lost = (count: string) => `${count} losses of events were accepted by an administrator.`
export const unconfirmed = (count: string) => `${count} bodies are missing, and nothing in this part says that they were erased.`
export const keptBodies = (count: string) => `${count} bodies are here although they were erased.`
