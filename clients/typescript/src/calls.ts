import type { Operation, OperationLink, OperationResultEnvelope, TRPCClientError, TRPCLink } from '@trpc/client'
import type { AnyTRPCRouter } from '@trpc/server'
import { observable } from '@trpc/server/observable'
import { delayAfter, explained, isUnauthorized, mayPass, pause } from './failures.js'
import type { Place, Signing } from './author.js'
import { withIds } from './ids.js'
import type { Tokens } from './tokens.js'

type Next<TRouter extends AnyTRPCRouter> = Parameters<OperationLink<TRouter>>[0]['next']
type Answer<TRouter extends AnyTRPCRouter> = OperationResultEnvelope<unknown, TRPCClientError<TRouter>>

/** The writes that the server does once, however often they are sent. */
const WRITES = /^(events\.log(Batch)?|intents\.\w+)$/

/**
 * Gives each call the key, renews a rejected key once, and repeats up to `retries` times the calls that may be repeated.
 * With `signing` each event is signed.
 */
export function callsLink<TRouter extends AnyTRPCRouter>(
  tokens: Tokens,
  retries: number,
  signing: Signing | undefined,
): TRPCLink<TRouter> {
  return () =>
    ({ op, next }) =>
      observable((observer) => {
        const leaving = new AbortController()
        const { signal } = leaving
        prepared(op, next, tokens, retries, signing)
          .then((ready) => call(ready, next, tokens, retries, signal))
          .then(
            (answer) => {
              if (signal.aborted) return
              observer.next(answer)
              observer.complete()
            },
            (error: unknown) => signal.aborted || observer.error(explained(error) as TRPCClientError<TRouter>),
          )
        return () => leaving.abort()
      })
}

/** The call with ids for its events, which are signed if the client has an author. */
async function prepared<TRouter extends AnyTRPCRouter>(
  op: Operation,
  next: Next<TRouter>,
  tokens: Tokens,
  retries: number,
  signing: Signing | undefined,
): Promise<Operation> {
  if (signing === undefined) return { ...op, input: withIds(op.path, op.input) }
  // Other calls wait for this one too, so it goes on if the caller leaves.
  const current: Operation = { ...op, type: 'query', path: 'keys.current', input: {}, signal: null }
  const ask = async () => {
    const { result } = await call(current, next, tokens, retries, new AbortController().signal)
    return (result as { data: Place }).data
  }
  const named = withIds(op.path.replace('validate', 'log'), op.input)
  return { ...op, input: await signing.signed(op.path, named, ask) }
}

async function call<TRouter extends AnyTRPCRouter>(
  op: Operation,
  next: Next<TRouter>,
  tokens: Tokens,
  retries: number,
  signal: AbortSignal,
): Promise<Answer<TRouter>> {
  const repeatable = op.type === 'query' || WRITES.test(op.path)
  let renewed = false
  for (let failures = 0; ; ) {
    const token = await tokens.get()
    try {
      return await once<TRouter>(next({ ...op, context: { ...op.context, token } }), signal)
    } catch (error) {
      if (signal.aborted || op.signal?.aborted) throw error
      if (isUnauthorized(error) && !renewed) {
        renewed = true
        tokens.refuse(token)
      } else if (repeatable && failures < retries && mayPass(error)) {
        await pause(delayAfter(failures++, error), op.signal ?? signal)
        if (signal.aborted || op.signal?.aborted) throw error
      } else {
        throw error
      }
    }
  }
}

function once<TRouter extends AnyTRPCRouter>(
  calling: ReturnType<Next<TRouter>>,
  signal: AbortSignal,
): Promise<Answer<TRouter>> {
  return new Promise((resolve, reject) => {
    const subscription = calling.subscribe({ next: resolve, error: reject })
    signal.addEventListener('abort', () => subscription.unsubscribe(), { once: true })
  })
}
