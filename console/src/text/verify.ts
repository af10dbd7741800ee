export enum words {
  title = 'What this browser verified',
  lead = 'Your browser computed this itself, with code that is not the server’s. It asked the server only for the evidence.',
  insecure = 'This browser verifies signatures only on pages with https, or on this machine itself (localhost).',
  shown = 'What you see is what was signed',
  shownRight = 'Every member that this page shows equals the signed event.',
  body = 'Content',
  bodySaid = 'The hash of the content is the one in the event’s header.',
  bodyErased = 'The content was erased. Only its hash remains.',
  header = 'Header',
  headerSaid = 'The hash of the header is the hash of the event.',
  before = 'Link to the event before it',
  first = 'It is the first event of the log, and names no other.',
  after = 'Link from the event after it',
  last = 'No event after it is to be seen: it is the last one, or your key does not see the next.',
  hiddenNeighbour = 'Your key does not see the event before it.',
  signature = 'Signature',
  signatureRight = 'The key of the node signed the hash (Ed25519).',
  signatureWrong = 'The signature is not by the key that it names.',
  inclusion = 'Place in the checkpoint',
  noRoot = 'no root',
  whole = 'The proof as a whole',
  unreadable = 'It cannot be read.',
  found = 'computed',
  expected = 'compared with',
  signedBy = 'by the key',
  node = 'Node',
  checkpoint = 'Checkpoint',
  pin = 'This shows that the log of this node contains the event unchanged. Compare the node with the one that you know.',
  proof = 'proof',
  copyProof = 'Copy proof',
}

export const states = { verifying: 'verifying…', verified: 'verified', broken: 'not verified', cannot: 'cannot verify' }
export const results = { good: 'right', bad: 'wrong', quiet: 'not compared' }
export const shownWrong = (names: string) => `The page and the signed event differ in: ${names}.`
export const beforeSaid = (seq: number) => `It names the hash of the event at seq ${seq}.`
export const afterSaid = (seq: number) => `The event at seq ${seq} names its hash.`
export const inclusionSaid = (size: string, hashes: string) => `With ${hashes} hashes it leads to the root of the signed checkpoint of ${size} events.`
export const differs = (said: string) => `This does not hold: ${said}`
