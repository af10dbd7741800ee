import type { Scope } from '../../api'
import type { ApiKey, CurrentKey } from '../../contract'
import { grants, may } from '../../key'

export type KeyState = 'valid' | 'expired' | 'revoked'

/** Every scope, in the order in which a person thinks of them. */
export const SCOPES: Scope[] = [
  'events:read',
  'events:read-own',
  'events:write',
  'events:write-as',
  'events:erase',
  'subscriptions:manage',
  'ledger:read',
  'audit:read',
  'keys:manage',
  'workspaces:manage',
  'intents:decide',
  'intents:decide-own',
  '*',
]

export function stateOf({ expiresAt, revokedAt }: ApiKey): KeyState {
  if (revokedAt && new Date(revokedAt).getTime() <= Date.now()) return 'revoked'
  return expiresAt && new Date(expiresAt).getTime() <= Date.now() ? 'expired' : 'valid'
}

/** Whether the server lets `own` revoke a key: it has every scope of it. */
export function mayRevoke(own: CurrentKey, key: ApiKey): boolean {
  return own.id === key.id || key.scopes.every((scope) => grants(own, scope))
}

/** Whether the server lets `own` rotate a key: it could make such a key. */
export function mayRotate(own: CurrentKey, key: ApiKey): boolean {
  return mayRevoke(own, key) && !endsBefore(own, key) && mayGrant(own, key.userId, key.scopes)
}

/** A key that acts for another user needs more. */
function mayGrant(own: CurrentKey, userId: string, scopes: Scope[]): boolean {
  if (userId === own.userId) return true
  const has = (scope: Scope) => scopes.includes(scope) || scopes.includes('*')
  if (has('events:write') && !may(own, 'events:write-as')) return false
  if (has('intents:decide') && !may(own, 'intents:decide-own')) return false
  return !has('events:read-own') || may(own, 'events:read')
}

function endsBefore(own: CurrentKey, key: ApiKey): boolean {
  if (!own.expiresAt) return false
  return !key.expiresAt || new Date(key.expiresAt) > new Date(own.expiresAt)
}
