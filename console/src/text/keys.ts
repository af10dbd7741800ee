import { time } from './words'

export const title = 'Keys'
export const showEnded = 'Show keys that ended'
export const make = 'New key'
export const none = 'No keys'
export const noneMore = 'No key has only workspaces of your key.'
export const older = 'Older keys'
export const newer = 'Newer keys'
export const id = 'Key'
export const own = 'yours'
export const state = 'Expiry'
export const user = 'User'
export const scopes = 'Scopes'
export const workspaces = 'Workspaces'
export const created = 'Created'
export const acts = 'Actions'
export const states = { revoked: 'Revoked', expired: 'Expired' }
export const never = 'Never expires'
export const ends = 'Expires'
export const everyScope = 'every scope'
export const everyWorkspace = 'every workspace'
export const rotate = 'Rotate'
export const revoke = 'Revoke'
export const makeTitle = 'Make a key'
export const makeIt = 'Make the key'
export const madeTitle = 'The new key'
export const made = (id: string) => `The server stores only a hash of the token. The id of the key is ${id}.`
export const token = 'API key'
export const scopesHint = 'What the key may do. You can grant the scopes that your own key has.'
export const scopeMeans = {
  'events:read': 'read every event',
  'events:read-own': 'read the events of its own user only',
  'events:write': 'log events of its own user',
  'events:write-as': 'log events of other users',
  'events:erase': 'erase events',
  'subscriptions:manage': 'manage webhooks',
  'ledger:read': 'read proofs, checkpoints and exports',
  'audit:read': 'read the audit and the numbers of the server',
  'keys:manage': 'make, rotate and revoke keys',
  'workspaces:manage': 'manage workspaces',
  'intents:decide': 'approve and reject intents of other users',
  'intents:decide-own': 'with intents:decide, also those of its own user',
  '*': 'everything, also what later versions add',
}
export const workspacesHint = 'The first one that you choose is the default of the key.'
export const userHint = 'Events that the key logs are of this user.'
export const expiry = 'Expires'
export const expiryHint = 'Not later than your own key.'
export const withOwn = 'When your own key expires'
export const neverExpires = 'Never'
export const after = (seconds: number) => `After ${time(seconds)}`
export const rotateTitle = 'Rotate this key?'
export const rotateLead = 'The server makes a new key with the same rights. Whoever uses the old one has to change to the new one.'
export const rotateOwn = 'You are signed in with this key. This tab continues with the new one.'
export const grace = 'The old key ends'
export const atOnce = 'At once'
export const rotatedTitle = 'The new key'
export const rotated = (old: string, id: string, seconds: number) =>
  `The new key is ${id}. The old one, ${old}, ${seconds ? `still works for ${time(seconds)}` : 'has ended'}.`
export const revokeTitle = 'Revoke this key?'
export const revokeLead = 'Every call with it fails within five seconds. Nobody can undo that.'
export const revokeOwn = 'You are signed in with this key. You will be signed out.'
