import type { ComponentChildren } from 'preact'
import { useState } from 'preact/hooks'
import { LoadNotice } from '../../components/states'
import { Time } from '../../components/time'
import { Visible } from '../../components/visible'
import type { IntentChain, IntentRun, SynapEvent } from '../../contract'
import { useAccess } from '../../key'
import { useLoad, type Load } from '../../load'
import { useRefresh } from '../../refresh'
import { to } from '../../router'
import * as said from '../../text/inbox'
import { words } from '../../text/inbox'
import { isMoving, StateBadge } from './state'

const REFRESH_MS = 2_000
/** With two events each, not more than a filter may name. */
const SHOWN_RUNS = 30

/** A chain, and the events of it that the key sees, by id: they have the times and the reasons. */
export interface Story extends IntentChain {
  followed: Map<string, SynapEvent>
}

/** The chain of an intent, again and again while something can become of it. */
export function useStory(intentId: string | undefined): Load<Story> {
  const { api, workspace } = useAccess()
  const load = useLoad(intentId && `${workspace} ${intentId}`, async (signal) => {
    const chain = await api.intents.get.query({ eventId: intentId ?? '' }, { signal })
    const ids = followUps(chain)
    const events = ids.length ? await api.events.list.query({ filter: { id: { in: ids } } }, { signal }) : []
    return { ...chain, followed: new Map(events.map((event) => [event.id, event])) }
  })
  const isOpen = load.value && (isMoving(load.value.state) || load.value.runs?.some(({ outcome }) => !outcome))
  useRefresh(load, isOpen ? REFRESH_MS : undefined)
  return load
}

/** The ids of what followed it: all but the starts, of which the chain says enough. */
function followUps({ decisionId, endId, runs = [] }: IntentChain): string[] {
  const outcomes = runs.slice(-SHOWN_RUNS).flatMap(({ outcomeId, lateOutcomeId }) => [outcomeId, lateOutcomeId])
  return [decisionId, endId, ...outcomes].filter((id) => id !== undefined)
}

/** The intent that an event is, or belongs to. Of an erased one nobody can tell until the server has answered. */
export function intentOf({ id, type, metadata, erased }: SynapEvent): string | undefined {
  const { intent, decision, start, outcome } = metadata?.synap ?? {}
  if (intent || (erased && type.endsWith('.requested'))) return id
  return (decision ?? start ?? outcome)?.intentId
}

/** On the page of an event that belongs to an intent: where it stands. */
export function ChainCard({ event }: { event: SynapEvent }) {
  const load = useStory(intentOf(event))
  const isMissing = load.failure?.kind === 'missing'
  if (isMissing && event.erased) return null
  const intentId = load.value?.event.id
  return (
    <ChainSection story={load.value}>
      {isMissing ? <p class="quiet-text">{words.unseen}</p> : <LoadNotice load={load} />}
      {intentId && (
        <p>
          <a class="button" href={to(['inbox', intentId])}>
            {said.open[load.value?.state === 'open' ? 'decide' : 'look']}
          </a>
        </p>
      )}
    </ChainSection>
  )
}

/** Who asked, who decided, what started, how it ended, and how much is left. */
export function ChainSection({ story, children }: { story: Story | undefined; children?: ComponentChildren }) {
  return (
    <section class="card" aria-label={words.chain}>
      <header class="page-head">
        <h2>{words.chain}</h2>
        {story && <StateBadge of={story.state} />}
      </header>
      {story && <Steps story={story} />}
      {children}
    </section>
  )
}

function Steps({ story }: { story: Story }) {
  const { event, state, uses, used, decisionId, endId, runs = [] } = story
  const [all, setAll] = useState(false)
  const shown = all ? runs : runs.slice(-SHOWN_RUNS)
  const decided = endId || state === 'used_up' ? 'approved' : state
  return (
    <>
      <ol class="timeline chain">
        <Step kind="requested" id={event.id} at={event.timestamp} by={event.userId} />
        {decisionId && decided !== 'open' && <Follow kind={decided} id={decisionId} story={story} by={story.decidedBy} />}
        {shown.length < runs.length && (
          <li>
            <button type="button" class="button" onClick={() => setAll(true)}>
              {said.moreRuns(runs.length - shown.length)}
            </button>
          </li>
        )}
        {shown.map((run) => (
          <Run key={run.use} run={run} story={story} />
        ))}
        {endId && <Follow kind={state as 'expired' | 'withdrawn'} id={endId} story={story} />}
      </ol>
      {(state === 'approved' || state === 'used_up') && <p>{said.left(uses - used, uses)}</p>}
    </>
  )
}

type Kind = keyof typeof said.steps

function Run({ run, story }: { run: IntentRun; story: Story }) {
  const { use, startId, startedAt, requestId, outcome, outcomeId, lateOutcome, lateOutcomeId } = run
  return (
    <>
      <Step kind="started" id={startId} at={startedAt} by={story.event.userId}>
        {said.use(use, story.uses)}
        {requestId && (
          <>
            {' '}
            {words.request} <Visible>{requestId}</Visible>
          </>
        )}
      </Step>
      {outcome && outcomeId && <Follow kind={outcome} id={outcomeId} story={story} use={use} />}
      {lateOutcome && lateOutcomeId && <Follow kind={lateOutcome} id={lateOutcomeId} story={story} use={use} />}
    </>
  )
}

/** A step whose time, reason and doubts stand in its own event, if the key sees that. */
function Follow({ kind, id, story, by, use }: { kind: Kind; id: string; story: Story; by?: string | undefined; use?: number }) {
  const event = story.followed.get(id)
  const { decision, outcome } = event?.metadata?.synap ?? {}
  return (
    <Step kind={kind} id={id} at={event?.timestamp} by={by ?? event?.userId}>
      {use !== undefined && said.use(use, story.uses)} {outcome?.late && <span class="badge warn">{words.late}</span>}
      {decision?.reason && (
        <blockquote>
          <Visible multiline>{decision.reason}</Visible>
        </blockquote>
      )}
      {outcome?.differs && <strong class="bad-text">{words.differs}</strong>}
    </Step>
  )
}

interface StepProps {
  kind: Kind
  id: string
  at: string | undefined
  by: string | undefined
  children?: ComponentChildren
}

function Step({ kind, id, at, by, children }: StepProps) {
  return (
    <li class={kind}>
      <a class="timeline-kind" href={to(['events', id])}>
        {said.steps[kind]}
      </a>
      <span>
        {by && (
          <>
            {words.by} {by.startsWith('did:') ? words.node : <Visible>{by}</Visible>}
          </>
        )}{' '}
        {children}
      </span>
      {at && <Time at={at} />}
    </li>
  )
}
