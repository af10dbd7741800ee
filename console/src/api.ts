import { createTRPCClient, httpLink, splitLink, TRPCClientError, type TRPCClient } from '@trpc/client'
import { delayAfter, explained, failureData, ours } from '../../clients/typescript/src/failures'
import { sse } from '../../clients/typescript/src/sse'
import { streamsLink } from '../../clients/typescript/src/streams'
import { Tokens } from '../../clients/typescript/src/tokens'
import type { AppRouter, CurrentKey } from './contract'
import { currentToken, forget } from './session'

export type Api = TRPCClient<AppRouter>
export type Scope = CurrentKey['scopes'][number]

/** Below the address at which the page was loaded: a proxy may have put a path before it. */
const TRPC = new URL('trpc', location.href).href.replace(/[?#].*$/, '')
const LONGEST_URL = 6_000

/** Servers speak plain JSON or superjson. What the console sends and shows is JSON in both, and superjson wraps it. */
let wrapped = false
const transformer = {
  serialize: (value: unknown) => (wrapped ? { json: value } : value),
  deserialize(value: any): any {
    if (isWrapped(value)) wrapped = true
    return wrapped ? value.json : value
  },
}

/** The first answer is that of `keys.current`, or an error: neither has a member `json` of its own. */
function isWrapped(value: unknown): boolean {
  return !wrapped && typeof value === 'object' && value !== null && 'json' in value && !('userId' in value)
}

const answered: typeof fetch = async (input, init) =>
  ours(await fetch(input, { ...init, cache: 'no-store' }), 'application/json')

/** The ordinary tRPC client, for one workspace; without one the key's default. */
export function createApi(workspace?: string): Api {
  const headers = (token = currentToken()) => ({
    authorization: `Bearer ${token}`,
    ...(workspace ? { 'x-workspace-id': workspace } : {}),
  })
  const wire = { encode: transformer.serialize, decode: transformer.deserialize }
  const transport = sse({ url: TRPC, wire, headers, fetch: (input, init) => fetch(input, init), longestUrl: LONGEST_URL })
  const http = { url: TRPC, fetch: answered as never, transformer: transformer as never, headers: () => headers() }
  return createTRPCClient<AppRouter>({
    links: [
      splitLink({
        condition: ({ type }) => type === 'subscription',
        true: streamsLink<AppRouter>(new Tokens(currentToken), () => Promise.resolve(transport)),
        false: httpLink<AppRouter>({ ...http, methodOverride: 'POST' }), // no input is in an address, which proxies log
      }),
    ],
  })
}

/** Why a call failed, for a person. */
export interface Failure {
  kind: 'offline' | 'ended' | 'forbidden' | 'missing' | 'busy' | 'refused'
  message: string
  /** Every invalid place of the input, its path as dotted text. */
  issues: { path: string; message: string }[]
  /** When to try again, if that can help. */
  retryMs?: number
}

/** What a failure means. A key that the server rejects ends the session. */
export function failureOf(error: unknown, failures = 0): Failure {
  const { message } = explained(error)
  const data = failureData(error)
  const issues = data?.issues ?? []
  if (!data) return { kind: 'offline', message, issues, retryMs: delayAfter(failures + 1, error) }
  if (data.code === 'UNAUTHORIZED') {
    forget('ended')
    return { kind: 'ended', message, issues }
  }
  if (data.code === 'FORBIDDEN') return { kind: 'forbidden', message, issues }
  if (data.code === 'NOT_FOUND') return { kind: 'missing', message, issues }
  if (data.httpStatus < 500 && ![408, 429].includes(data.httpStatus)) return { kind: 'refused', message, issues }
  return { kind: 'busy', message, issues, retryMs: delayAfter(failures + 2, error) }
}

export function isCancelled(error: unknown): boolean {
  return error instanceof TRPCClientError && error.cause?.name === 'AbortError'
}
