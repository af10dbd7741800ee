import { TRPCClientError } from '@trpc/client'

/** What a failed call has in `error.data`. */
export interface FailureData {
  code: string
  httpStatus: number
  reason?: string
  issues?: { path: string; message: string }[]
  retryAfterSeconds?: number
}

const LONGEST_MS = 10_000
const FIRST_MS = 250

const TRANSFORMERS =
  'The server and this client use different transformers: give createSynap the `transformer` of SYNAP_TRANSFORMER'

/** What the server said about a failure; undefined if it said nothing. */
export function failureData(error: unknown): FailureData | undefined {
  const data: unknown = error instanceof TRPCClientError ? error.data : undefined
  return data ? (data as FailureData) : undefined
}

export function isUnauthorized(error: unknown): boolean {
  return failureData(error)?.code === 'UNAUTHORIZED'
}

/** Whether the same call may succeed later: nothing answered, or the server cannot do it now. */
export function mayPass(error: unknown): boolean {
  const status = failureData(error)?.httpStatus
  return status === undefined || status >= 500 || status === 429 || status === 408
}

/** The error, with a sentence that names the cause if the client's own sentence does not. */
export function explained(error: unknown): Error {
  if (!(error instanceof TRPCClientError)) return TRPCClientError.from(error as Error)
  if (error.data) return error
  const isForeign = error.message.startsWith('Unable to transform response')
  return isForeign ? new TRPCClientError(TRANSFORMERS, { cause: error }) : error
}

/** The answer, if the server sent it. Throws for other answers, such as a page of a proxy. */
export function ours(response: Response, kind: string): Response {
  if (response.headers.get('content-type')?.startsWith(kind)) return response
  const { status } = response
  throw new TRPCClientError(`HTTP ${status}, but not from a Synap server: a proxy or another server answered`)
}

/** How long to wait after so many failures: twice as long each time, up to 10 s, with jitter. */
export function delayAfter(failures: number, error: unknown): number {
  const asked = (failureData(error)?.retryAfterSeconds ?? 0) * 1000
  const wait = Math.min(LONGEST_MS, FIRST_MS * 2 ** failures)
  return Math.max(asked, wait * (0.5 + Math.random() / 2))
}

/** Wait, or until the browser is online again or the signal aborts. */
export function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = new AbortController()
    const end = () => {
      clearTimeout(timer)
      done.abort()
      resolve()
    }
    const timer = setTimeout(end, milliseconds)
    signal.addEventListener('abort', end, { once: true, signal: done.signal })
    if (typeof window !== 'undefined') window.addEventListener('online', end, { once: true, signal: done.signal })
    if (signal.aborted) end()
  })
}
