export const title = 'Ledger'
export const node = 'Node'
export const nodeLead = 'Who signs this log. Compare the id with the one that you know.'
export const did = 'Id'
export const origin = 'Origin'
export const publicKey = 'Public key'
export const keys = 'Signing keys'
export const since = 'Since'
export const first = 'the beginning'
export const succession = 'Signed by'
export const bothSigned = 'the key before it, and itself'
export const oldLost = 'itself only: the key before it was lost'
export const checkpoint = 'Checkpoint'
export const checkpointLead = 'Keep it elsewhere. It reveals any later change of the log.'
export const size = (count: string) => `It covers ${count} events.`
export const note = 'the checkpoint'
export const copyNote = 'Copy the checkpoint'
export const vkey = 'the verifier key'
export const copyVkey = 'Copy the verifier key'
export const renew = 'Renew'
export const consistency = 'Compare checkpoints'
export const consistencyLead = 'Whether the log still begins with what you kept. Your browser judges it.'
export const earlier = 'A checkpoint that you kept'
export const later = 'Another one'
export const laterHint = 'Without it the first one is compared with the log as it is now.'
export const compare = 'Compare'
export const noCheckpoint = 'That is no checkpoint. Paste the whole note, with its signature.'
export const insecure = 'Your browser judges signatures only on pages over HTTPS or on localhost.'
export const proof = 'Prove an event'
export const theProof = 'the proof'
export const proofLead = 'That an event is in the log, for somebody who does not trust the server.'
export const eventId = 'Id of the event'
export const prove = 'Prove it'
export const copyProof = 'Copy the proof'
export const bundle = 'Verify a file'
export const bundleLead = 'Drop an export, a receipt or a proof here. It does not leave your browser.'
export const file = 'File'
export const fileHint = 'JSON, also compressed by gzip.'
export const kept = 'Checkpoint that you kept'
export const keptHint = 'Paste it before you choose the file. The export has to extend it.'
export const judging = (name: string, size: string, percent: number) => `Verifying ${name} (${size}): ${percent} %`
export const verified = 'verified'
export const notVerified = 'not verified'
export const at = (seq: string) => `At place ${seq}:`
export const signedBy = 'Signed by'
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
