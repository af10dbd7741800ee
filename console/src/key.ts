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

/** Whether a key has one of these scopes. Who reads every event reads its own as well. */
export function may(key: CurrentKey, ...scopes: Scope[]): boolean {
  const has = new Set<Scope>(key.scopes)
  if (has.has('events:read')) has.add('events:read-own')
  return has.has('*') || scopes.some((scope) => has.has(scope))
}
