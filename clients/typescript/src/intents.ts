import { delayAfter, failureData, mayPass, pause } from './failures.js'
import { isRecord, newEventId, uuidOf } from './ids.js'

/** A client that can ask and run, such as `createSynap` returns. */
export interface IntentsClient {
  events: { log: { mutate(input: any, options?: any): Promise<EventLike> } }
  intents: {
    get: { query(input: any, options?: any): Promise<IntentLike> }
    wait: { query(input: any, options?: any): Promise<IntentLike> }
    start: { mutate(input: any, options?: any): Promise<{ event: EventLike; replayed: boolean }> }
    finish: { mutate(input: any, options?: any): Promise<EventLike> }
  }
}

interface EventLike {
  id: string
  hash: string
  type: string
  data: unknown
  erased?: boolean
}

interface IntentLike {
  event: EventLike
  state: string
  decidedBy?: string
  reason?: string
  runs?: { startId: string; outcome?: string; outcomeId?: string; lateOutcome?: string; lateOutcomeId?: string }[]
}

/** An intent of this client, with all that followed. */
export type IntentOf<TClient extends IntentsClient> = Awaited<ReturnType<TClient['intents']['get']['query']>>

type DraftOf<TClient extends IntentsClient> = Omit<
  Exclude<Parameters<TClient['events']['log']['mutate']>[0], void | undefined | null>,
  'type' | 'data' | 'id'
>

/** The terms of an intent. `docs/guides/intents.md` has their defaults. */
export interface Terms {
  /** Until when it may be approved and started (RFC 3339). */
  expiresAt?: string
  /** The time from a start to its outcome. */
  timeoutSeconds?: number
  /** The ids of the users who may decide. */
  approvers?: string[]
  risk?: 'low' | 'medium' | 'high'
  reversible?: boolean
  summary?: string
}

/** How one call asks. */
export interface CallOptions {
  /**
   * A name for this piece of work, unique in the workspace among the intents of this type. A call that is repeated with
   * the same key continues with the same intent, and does not start twice. It needs `crypto.subtle`: node, or a page
   * with HTTPS.
   */
  key?: string
  /** How long to wait for a decision. Default: until there is one, or the intent expires. */
  waitSeconds?: number
  /** Ends the wait: the intent stays open. Once it has started, the function gets the signal. */
  signal?: AbortSignal
}

export interface AskOptions<TClient extends IntentsClient> extends Terms, CallOptions {
  /** How many times it may start. Default: 1. */
  uses?: number
  /** Further members of the event, such as `subjectId`, `correlationId` or `metadata`. */
  event?: Partial<DraftOf<TClient>>
}

export interface ApprovedOptions<TClient extends IntentsClient, TParameters>
  extends Terms,
    Pick<CallOptions, 'waitSeconds'> {
  /** Makes the summary of one call for those who decide. */
  describe?(parameters: TParameters): string
  /** Whether the log gets what the function returned, or its error's message. Default: the outcome and the error's name. */
  details?: boolean
  /** Further members of the event that asks. */
  event?: Partial<DraftOf<TClient>>
}

/** Why an intent does not run, or not any more. */
export type IntentErrorKind =
  | 'rejected'
  | 'expired'
  | 'withdrawn'
  /** Nobody decided within `waitSeconds`. The intent stays open. */
  | 'not_decided'
  /** The key has started it before; `outcome` says how that ended. */
  | 'already_started'
  /** The function returned `result`, but the log could not be told. */
  | 'not_reported'

/** An intent does not run, or not any more; `kind` says why. */
export class IntentError extends Error {
  override name = 'IntentError'
  readonly kind: IntentErrorKind
  readonly intentId: string
  /** The reason that a person gave. */
  readonly why?: string
  readonly startId?: string
  /** `executed`, `failed` or `unknown`; undefined if nothing is reported yet, so that it may still run. */
  readonly outcome?: string
  readonly outcomeId?: string
  readonly result?: unknown

  constructor(kind: IntentErrorKind, intentId: string, message: string, more: object = {}) {
    super(message)
    this.kind = kind
    this.intentId = intentId
    Object.assign(this, more)
  }
}

/** How long one call waits. Proxies often cut a request that is silent for 30 or 60 seconds. */
const WAIT_SECONDS = 25

/**
 * Ask to do something, and return when somebody has approved exactly that.
 *
 * Logs `<type>.requested` with `parameters`, which are any JSON, and waits. Throws IntentError, and a `CONFLICT` if the
 * key has asked for other parameters.
 */
export async function ask<TClient extends IntentsClient>(
  client: TClient,
  type: string,
  parameters: unknown,
  options: AskOptions<TClient> = {},
): Promise<IntentOf<TClient>> {
  const { key, waitSeconds = Infinity, signal, event, ...terms } = options
  const until = Date.now() + waitSeconds * 1000
  const id = key === undefined ? newEventId() : await idOf(type, key)
  const wanted = copyOf(parameters)
  const more: { metadata?: object } = event ?? {}
  const draft = {
    ...more,
    id,
    type: requested(type),
    data: { parameters: wanted },
    metadata: { ...more.metadata, synap: { intent: terms } },
  }
  try {
    await client.events.log.mutate(draft, { signal })
  } catch (error) {
    if (key === undefined || failureData(error)?.code !== 'CONFLICT') throw error
    if (!(await asksFor(client, id, wanted))) {
      if (error instanceof Error) error.message = `The key "${key}" has asked for other parameters before; use another key`
      throw error
    }
  }
  const intent = await decided(client, id, until, signal)
  const end = endOf(intent)
  if (end) throw end
  return intent as IntentOf<TClient>
}

/**
 * Make a function ask before it runs: `approved(api, 'payment.refund', refund)`.
 *
 * The function takes its parameters as one JSON value. A call asks for exactly these, waits for the approval, takes one
 * use, runs the function with a copy of them, and reports how it ended. It throws what the function throws, what `ask`
 * throws, and IntentError. With a `key` the function runs at most once, even if the program crashes in between.
 */
export function approved<TClient extends IntentsClient, TParameters, TResult>(
  client: TClient,
  type: string,
  run: (parameters: TParameters, signal?: AbortSignal) => TResult | Promise<TResult>,
  options: ApprovedOptions<TClient, TParameters> = {},
): (parameters: TParameters, call?: CallOptions) => Promise<TResult> {
  const { describe, details = false, ...rest } = options
  requested(type) // a wrong name is an error where it stands, and not at the first call
  return async (given, call = {}) => {
    const parameters = copyOf(given) as TParameters
    const said = describe ? { summary: describe(parameters) } : {}
    const intent = await ask(client, type, parameters, { ...rest, ...said, ...call } as AskOptions<TClient>)
    const startId = await started(client, intent, parameters, call.key)
    let result: TResult
    try {
      call.signal?.throwIfAborted()
      result = await run(copyOf(parameters) as TParameters, call.signal)
    } catch (error) {
      // The function's own error matters more than a report that fails; the log then says `unknown`.
      await finish(client, startId, 'failed', told(error, details)).catch(() => {})
      throw error
    }
    try {
      await finish(client, startId, 'executed', details ? { result } : {})
    } catch (cause) {
      const message = `The function returned, but its outcome could not be reported: call intents.finish for ${startId}`
      throw new IntentError('not_reported', intent.event.id, message, { startId, result, cause })
    }
    return result
  }
}

/** Take one use, and return the id of its start. */
async function started(
  client: IntentsClient,
  { event: { id, hash } }: IntentLike,
  parameters: unknown,
  key: string | undefined,
): Promise<string> {
  try {
    const requestId = key ?? newEventId()
    const { event, replayed } = await client.intents.start.mutate({ eventId: id, hash, parameters, requestId })
    // Without a key nobody else knows the request's id: what is replayed is the lost answer to this very call.
    if (!replayed || key === undefined) return event.id
    throw alreadyStarted(await client.intents.get.query({ eventId: id }), event.id)
  } catch (error) {
    if (failureData(error)?.reason !== 'intent_ended') throw error
    throw endOf(await client.intents.get.query({ eventId: id })) ?? error
  }
}

/** Report how a start ended. Data that cannot be stored is left out, because the outcome matters more. */
async function finish(client: IntentsClient, startId: string, outcome: string, data: object): Promise<void> {
  try {
    await client.intents.finish.mutate({ startId, outcome, data: copyOf(data) })
  } catch (error) {
    const code = failureData(error)?.code
    if (!(error instanceof TypeError) && code !== 'BAD_REQUEST' && code !== 'PAYLOAD_TOO_LARGE') throw error
    await client.intents.finish.mutate({ startId, outcome })
  }
}

/** Wait for the decision. An outage does not end the wait, but throws if there is no time left. */
async function decided(
  client: IntentsClient,
  eventId: string,
  until: number,
  signal: AbortSignal = new AbortController().signal,
): Promise<IntentLike> {
  for (let failures = 0; ; ) {
    const left = Math.max(0, until - Date.now())
    try {
      const timeoutSeconds = Math.min(WAIT_SECONDS, Math.ceil(left / 1000))
      const intent = await client.intents.wait.query({ eventId, timeoutSeconds }, { signal })
      if (intent.state !== 'open') return intent
      failures = 0
    } catch (error) {
      signal.throwIfAborted()
      if (failureData(error)?.code === 'NOT_FOUND') throw withdrawn(eventId, 'was erased')
      const wait = delayAfter(failures++, error)
      if (!mayPass(error) || wait > left) throw error
      await pause(wait, signal)
      signal.throwIfAborted()
      continue
    }
    if (left > WAIT_SECONDS * 1000) continue
    const remedy = 'It stays open: ask again with the same key, or withdraw it with intents.withdraw'
    throw new IntentError('not_decided', eventId, `Nobody has decided on the intent ${eventId} in time. ${remedy}`)
  }
}

function withdrawn(id: string, how: string, why?: string): IntentError {
  return new IntentError('withdrawn', id, `The intent ${id} ${how}`, { why })
}

/** Why nothing starts any more; undefined if the intent is open or approved, or all its uses are started. */
function endOf({ event: { id, erased }, state, decidedBy = 'Somebody', reason }: IntentLike): IntentError | undefined {
  if (erased) return withdrawn(id, 'was erased')
  if (state === 'withdrawn') return withdrawn(id, 'was withdrawn', reason)
  if (state === 'expired') return new IntentError('expired', id, `The intent ${id} is expired; ask again`)
  if (state !== 'rejected') return undefined
  const message = `${decidedBy} rejected the intent ${id}; \`why\` is the reason, if any`
  return new IntentError('rejected', id, message, { why: reason })
}

function alreadyStarted({ event: { id }, runs = [] }: IntentLike, startId: string): IntentError {
  const run = runs.find((each) => each.startId === startId)
  const outcome = run?.lateOutcome ?? run?.outcome
  const outcomeId = run?.lateOutcomeId ?? run?.outcomeId
  const how = outcome ? `its outcome is ${outcome}` : 'no outcome is reported yet, so it may still run'
  return new IntentError('already_started', id, `This key has started the intent ${id} before: ${how}`, {
    startId,
    outcome,
    outcomeId,
  })
}

/** Whether the intent that is stored under a key's id asks for the same. Its other members may differ. */
async function asksFor(client: IntentsClient, eventId: string, parameters: unknown): Promise<boolean> {
  const { event } = await client.intents.get.query({ eventId })
  const stored = isRecord(event.data) ? event.data['parameters'] : undefined
  return event.erased === true || ordered(stored) === ordered(parameters)
}

function ordered(value: unknown): string {
  return JSON.stringify(value, (_, each: unknown) =>
    isRecord(each) && !Array.isArray(each) ? Object.fromEntries(Object.entries(each).sort()) : each,
  )
}

/** What the log gets about an error. */
function told(error: unknown, details: boolean): object {
  const { name, message } = error instanceof Error ? error : { name: typeof error, message: String(error) }
  return details ? { error: name, message } : { error: name }
}

/** The type of the event that asks. Throws TypeError for one that names it already. */
function requested(type: string): string {
  if (!type.endsWith('.requested')) return `${type}.requested`
  throw new TypeError(`name what runs, "${type.slice(0, -10)}": ".requested" is added to it`)
}

/** The id of the event that asks with a key: always the same, so that it is stored once. The Python client makes the same. */
async function idOf(type: string, key: string): Promise<string> {
  const text = new TextEncoder().encode(`synap/ask/v1\n${type}\n${key}`)
  return uuidOf(new Uint8Array(await crypto.subtle.digest('SHA-256', text)), 8)
}

/** A copy of a JSON value. Throws TypeError with the place of what is none; undefined members are absent. */
function copyOf(value: unknown, path = 'parameters'): unknown {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return value
  if (typeof value === 'number' && Number.isFinite(value)) return value
  if (Array.isArray(value)) return value.map((item, place) => copyOf(item, `${path}.${place}`))
  if (isRecord(value) && [Object.prototype, null].includes(Object.getPrototypeOf(value))) {
    const members = Object.entries(value).filter(([, item]) => item !== undefined)
    return Object.fromEntries(members.map(([name, item]) => [name, copyOf(item, `${path}.${name}`)]))
  }
  throw new TypeError(`${path} is no JSON: use text, finite numbers, booleans, null, arrays and plain objects`)
}
