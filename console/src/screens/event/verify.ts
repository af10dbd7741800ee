/** What the browser itself found about an event: each step, and what was compared. */
import { bodyHash, canonical, headerHash, isSignedBy, provenRoot, verifyProof } from 'synap-verify'
import type { Api } from '../../api'
import type { InclusionProof, LedgerEvent, SynapEvent } from '../../contract'
import { numberOf } from '../../shown'
import * as sentences from '../../text/verify'
import { words } from '../../text/verify'

export interface Step {
  name: string
  /** Null if there was nothing to compare with. */
  right: boolean | null
  said: string
  /** What stood against each other, by name. */
  compared?: [string, string][]
}

export interface Verdict {
  verified: boolean
  erased: boolean
  reason: string
  steps: Step[]
  proof: InclusionProof
}

/** Ask for the proof of an event and its neighbours, and judge them. Throws if this browser cannot judge. */
export async function verified(api: Api, shown: SynapEvent, signal: AbortSignal): Promise<Verdict> {
  const proof = await api.ledger.proof.query({ eventId: shown.id }, { signal })
  const places = [shown.seq - 1, shown.seq + 1].filter((seq) => seq >= 0)
  const { events } = await api.ledger.entries.query({ filter: { seq: { in: places } }, limit: 2 }, { signal })
  const { event } = proof
  const verdict = await verifyProof(proof)
  const steps = [
    likeShown(shown, event),
    body(event),
    header(event),
    before(event, events.find(({ seq }) => seq === event.seq - 1)),
    after(event, events.find(({ seq }) => seq === event.seq + 1)),
    await signature(event),
    inclusion(proof),
  ]
  const wrong = steps.find(({ right }) => right === false)
  if (verdict.broken && !wrong) steps.push({ name: words.whole, right: false, said: verdict.broken.message })
  return {
    verified: verdict.broken === null && !wrong,
    erased: Boolean(event.erased),
    reason: verdict.broken?.message ?? wrong?.said ?? '',
    steps,
    proof,
  }
}

/** What the page shows has to be what was signed: it came by another call. */
function likeShown(shown: SynapEvent, event: LedgerEvent): Step {
  const { id, type, timestamp, seq, hash, version: _, erased: __, data, ...context } = shown
  const { salt: ___, ...signed } = event.context
  const left = { id, type, timestamp, seq, hash, data, ...(event.erased ? {} : context) }
  const right = { id: event.event_id, type: event.type, timestamp: event.timestamp, seq: event.seq, hash: event.hash, data: event.payload, ...signed }
  const differing = Object.keys({ ...left, ...right }).filter((name) => !same(left[name as 'id'], right[name as 'id']))
  const isRight = differing.length === 0
  return { name: words.shown, right: isRight, said: isRight ? words.shownRight : sentences.shownWrong(differing.join(', ')) }
}

function same(one: unknown, other: unknown): boolean {
  try {
    return one === other || (one !== undefined && other !== undefined && canonical(one) === canonical(other))
  } catch {
    return false
  }
}

function body(event: LedgerEvent): Step {
  if (event.erased) return { name: words.body, right: null, said: words.bodyErased }
  return compared(words.body, words.bodySaid, () => bodyHash(event), event.body_hash)
}

function header(event: LedgerEvent): Step {
  return compared(words.header, words.headerSaid, () => headerHash(event), event.hash)
}

function before(event: LedgerEvent, neighbour: LedgerEvent | undefined): Step {
  if (event.seq === 0) return compared(words.before, words.first, () => `sha256:${'0'.repeat(64)}`, event.prev_hash)
  if (!neighbour) return { name: words.before, right: null, said: words.hiddenNeighbour }
  return compared(words.before, sentences.beforeSaid(neighbour.seq), () => headerHash(neighbour), event.prev_hash)
}

function after(event: LedgerEvent, neighbour: LedgerEvent | undefined): Step {
  if (!neighbour) return { name: words.after, right: null, said: words.last }
  return compared(words.after, sentences.afterSaid(neighbour.seq), () => headerHash(event), neighbour.prev_hash)
}

async function signature(event: LedgerEvent): Promise<Step> {
  const said = `evlog/event/v1\n${event.hash.replace('sha256:', '')}\n`
  const right = await isSignedBy(event.kid, said, event.signature)
  return { name: words.signature, right, said: right ? words.signatureRight : words.signatureWrong, compared: [[words.signature, event.signature], [words.signedBy, event.kid]] }
}

function inclusion(proof: InclusionProof): Step {
  const { size, root } = proof.checkpoint
  return compared(words.inclusion, sentences.inclusionSaid(numberOf(size), numberOf(proof.proof.length)), () => provenRoot(proof) ?? words.noRoot, root)
}

function compared(name: string, said: string, find: () => string, expected: string): Step {
  let found: string
  try {
    found = find()
  } catch (error) {
    return { name, right: false, said: error instanceof Error ? error.message : words.unreadable }
  }
  return { name, right: found === expected, said: found === expected ? said : sentences.differs(said), compared: [[words.found, found], [words.expected, expected]] }
}
