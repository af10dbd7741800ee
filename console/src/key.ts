import { createContext } from 'preact'
import { useContext } from 'preact/hooks'
import type { Api, Scope } from './api'
import type { CurrentKey } from './contract'

/** What every screen needs: the client for the workspace that is shown, and the key. */
export interface Access {
  api: Api
  key: CurrentKey
  workspace: string
}

export const AccessContext = createContext<Access | undefined>(undefined)

export function useAccess(): Access {
  const access = useContext(AccessContext)
  if (!access) throw new Error('There is no key')
  return access
}

/** Whether a key has one of these scopes. Who reads every event reads its own as well; `*` decides on nothing of its own user. */
export function may(key: CurrentKey, ...scopes: Scope[]): boolean {
  return scopes.some((scope) => (scope === 'intents:decide-own' ? key.scopes.includes(scope) : grants(key, scope)))
}

/** Whether a key can give this scope to another one. */
export function grants({ scopes }: CurrentKey, scope: Scope): boolean {
  return scopes.includes('*') || scopes.includes(scope) || (scope === 'events:read-own' && scopes.includes('events:read'))
}
