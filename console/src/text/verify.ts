export const title = 'What this browser verified'
export const lead = 'Your browser computed this itself, with code that is not the server’s. It asked the server only for the evidence.'
export const states = { verifying: 'verifying…', verified: 'verified', broken: 'not verified', cannot: 'cannot verify' }
export const results = { good: 'right', bad: 'wrong', quiet: 'not compared' }
export const insecure = 'This browser verifies signatures only on pages with https, or on this machine itself (localhost).'
export const shown = 'What you see is what was signed'
export const shownRight = 'Every member that this page shows equals the signed event.'
export const shownWrong = (names: string) => `The page and the signed event differ in: ${names}.`
export const body = 'Content'
export const bodySaid = 'The hash of the content is the one in the event’s header.'
export const bodyErased = 'The content was erased. Only its hash remains.'
export const header = 'Header'
export const headerSaid = 'The hash of the header is the hash of the event.'
export const before = 'Link to the event before it'
export const beforeSaid = (seq: number) => `It names the hash of the event at seq ${seq}.`
export const first = 'It is the first event of the log, and names no other.'
export const after = 'Link from the event after it'
export const afterSaid = (seq: number) => `The event at seq ${seq} names its hash.`
export const last = 'No event after it is to be seen: it is the last one, or your key does not see the next.'
export const hiddenNeighbour = 'Your key does not see the event before it.'
export const signature = 'Signature'
export const signatureRight = 'The key of the node signed the hash (Ed25519).'
export const signatureWrong = 'The signature is not by the key that it names.'
export const inclusion = 'Place in the checkpoint'
export const inclusionSaid = (size: string, hashes: string) => `With ${hashes} hashes it leads to the root of the signed checkpoint of ${size} events.`
export const noRoot = 'no root'
export const whole = 'The proof as a whole'
export const unreadable = 'It cannot be read.'
export const differs = (said: string) => `This does not hold: ${said}`
export const found = 'computed'
export const expected = 'compared with'
export const signedBy = 'by the key'
export const node = 'Node'
export const checkpoint = 'Checkpoint'
export const pin = 'This shows that the log of this node contains the event unchanged. Compare the node with the one that you know.'
export const proof = 'proof'
export const copyProof = 'Copy proof'
