/**
 * Every state of the console is an address: `#/<workspace>/<screen>/<more>?<query>`. It stands behind the `#`, so that the
 * console works below any path, and so that no filter reaches the logs of a proxy.
 */
import { useSyncExternalStore } from './store'

export interface Route {
  /** Empty until a workspace is chosen. */
  workspace: string
  screen: string
  rest: string[]
  query: URLSearchParams
}

export type Query = Record<string, string | undefined>

let route = parse(location.hash)
const listeners = new Set<() => void>()
window.addEventListener('hashchange', update)
window.addEventListener('popstate', update)

export function useRoute(): Route {
  return useSyncExternalStore(subscribe, () => route)
}

export function currentRoute(): Route {
  return route
}

/** The address of a screen in the workspace that is shown. The only links of the console are these. */
export function to(path: readonly string[], query: Query = {}, workspace = route.workspace): string {
  const known = Object.entries(query).filter((entry): entry is [string, string] => Boolean(entry[1]))
  const search = new URLSearchParams(known).toString()
  return `#/${[workspace, ...path].map(encodeURIComponent).join('/')}${search && '?'}${search}`
}

/** Go to an address. `replace` is for changes that "back" should not undo one by one. */
export function go(address: string, how: 'push' | 'replace' = 'push'): void {
  if (address === location.hash) return
  if (how === 'push') history.pushState(null, '', address)
  else history.replaceState(history.state, '', address)
  update()
}

/** Change parts of the query of this address; undefined removes one. */
export function changeQuery(changes: Query, how: 'push' | 'replace' = 'push'): void {
  const query = { ...Object.fromEntries(route.query), ...changes }
  go(to([route.screen, ...route.rest], query), how)
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener)
  return () => listeners.delete(listener)
}

function update(): void {
  route = parse(location.hash)
  for (const listener of listeners) listener()
}

function parse(hash: string): Route {
  if (!hash.startsWith('#/')) return { workspace: '', screen: '', rest: [], query: new URLSearchParams() }
  const [path = '', search = ''] = split(hash.slice(2), '?')
  const [workspace = '', screen = '', ...rest] = path.split('/').map(decoded)
  return { workspace, screen, rest, query: new URLSearchParams(search) }
}

function split(text: string, separator: string): [string, string] {
  const at = text.indexOf(separator)
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)]
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
}
