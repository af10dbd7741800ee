import { useSyncExternalStore } from './store'

/** What a tab remembers of a person who signed in. Closing the tab forgets it. */
export interface Kept {
  token: string
  /** The key was made for this sign-in: signing out also revokes it. */
  temporary: boolean
}

export type Session =
  | { state: 'out' }
  | { state: 'in'; kept: Kept }
  /** The server no longer accepts the key. */
  | { state: 'ended' }

const ITEM = `synap:${location.pathname}`

let session: Session = restored()
const listeners = new Set<() => void>()

/** The session, as it changes. */
export function useSession(): Session {
  return useSyncExternalStore(subscribe, () => session)
}

export function currentToken(): string {
  return session.state === 'in' ? session.kept.token : ''
}

export function currentTemporary(): boolean {
  return session.state === 'in' && session.kept.temporary
}

export function signIn(kept: Kept): void {
  sessionStorage.setItem(ITEM, JSON.stringify(kept))
  change({ state: 'in', kept })
}

/** Forget the key. `ended` if the server rejected it. */
export function forget(why: 'out' | 'ended'): void {
  sessionStorage.removeItem(ITEM)
  change({ state: why })
}

/** The key in a link such as `#token=sk_…&temporary`, which leaves the address at once. */
export function takeLinkedKey(): void {
  if (!location.hash.startsWith('#token=')) return
  const given = new URLSearchParams(location.hash.slice(1))
  history.replaceState(null, '', location.pathname + location.search)
  const token = (given.get('token') ?? '').trim()
  if (token) signIn({ token, temporary: given.has('temporary') })
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener)
  return () => listeners.delete(listener)
}

function change(next: Session): void {
  session = next
  for (const listener of listeners) listener()
}

function restored(): Session {
  try {
    const kept: unknown = JSON.parse(sessionStorage.getItem(ITEM) ?? 'null')
    if (isKept(kept)) return { state: 'in', kept }
  } catch {
    // Another program wrote it.
  }
  return { state: 'out' }
}

function isKept(value: unknown): value is Kept {
  return typeof value === 'object' && value !== null && 'token' in value && typeof value.token === 'string'
}
