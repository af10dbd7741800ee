import { Countdown } from '../../components/countdown'
import { Fact } from '../../components/fact'
import { LoadNotice } from '../../components/states'
import { Time } from '../../components/time'
import { Visible } from '../../components/visible'
import { useHotkeys } from '../../hotkeys'
import { may, useAccess } from '../../key'
import { go, to, useRoute } from '../../router'
import { durationOf, numberOf } from '../../shown'
import { words } from '../../text/inbox'
import { VerifiedBadge } from '../event/badge'
import { ReceiptButton } from '../event/receipt'
import { ChainSection, useStory, type Story } from './chain'
import { Decide, whyNot, Withdraw } from './decide'
import { Exact } from './exact'
import { isMoving, Risks, StateBadge } from './state'

const DEFAULT_TIMEOUT_SECONDS = 3_600

/** One intent: what is asked, on which terms, the decision, and what became of it. */
export function IntentScreen() {
  const { key } = useAccess()
  const [id = ''] = useRoute().rest
  const load = useStory(id)
  const decides = may(key, 'intents:decide')
  useHotkeys({ Escape: () => go(to([decides ? 'inbox' : 'events'])) })
  return (
    <div class="page">
      {decides && (
        <p>
          <a href={to(['inbox'])}>{words.title}</a>
        </p>
      )}
      <LoadNotice load={load} />
      {load.value && <Whole key={load.value.event.hash} story={load.value} decides={decides} onDone={load.reload} />}
    </div>
  )
}

function Whole({ story, decides, onDone }: { story: Story; decides: boolean; onDone: () => void }) {
  const { key } = useAccess()
  const { event, state } = story
  const isSeen = may(key, 'events:read') || event.userId === key.userId
  const reason = decides && state === 'open' ? whyNot(story, key.userId, may(key, 'intents:decide-own')) : ''
  return (
    <>
      <header class="page-head">
        <h1>
          <Visible>{event.type}</Visible>
        </h1>
        <StateBadge of={state} />
        {isSeen && <VerifiedBadge event={event} />}
        <div class="actions">
          {isSeen && (
            <a class="button" href={to(['events', event.id])}>
              {words.event}
            </a>
          )}
          <ReceiptButton eventId={event.id} />
          <Withdraw of={story} onDone={onDone} />
        </div>
      </header>
      {event.erased ? (
        <p class="notice warn">{words.erased}</p>
      ) : (
        <>
          <Terms story={story} />
          <Exact of={story} />
        </>
      )}
      {decides && state === 'open' && !event.erased && !reason && <Decide of={story} onDone={onDone} />}
      {reason && <p class="notice">{reason}</p>}
      <ChainSection story={story} />
    </>
  )
}

function Terms({ story: { event, state, expiresAt, uses } }: { story: Story }) {
  const intent = event.metadata?.synap?.intent ?? {}
  const { summary, risk, reversible, approvers, timeoutSeconds = DEFAULT_TIMEOUT_SECONDS } = intent
  return (
    <section class="card" aria-label={words.terms}>
      <h2>{words.terms}</h2>
      <dl class="facts">
        {summary && (
          <Fact name={words.summary}>
            <Visible multiline>{summary}</Visible>
          </Fact>
        )}
        <Fact name={words.user}>
          <Visible>{event.userId}</Visible>
        </Fact>
        {event.subjectId && (
          <Fact name={words.subject}>
            <Visible>{event.subjectId}</Visible>
          </Fact>
        )}
        {(risk || reversible !== undefined) && (
          <Fact name={words.risk}>
            <Risks of={intent} /> {reversible && words.reversible}
          </Fact>
        )}
        <Fact name={words.uses}>{numberOf(uses)}</Fact>
        <Fact name={words.timeout}>{durationOf(timeoutSeconds * 1_000)}</Fact>
        {expiresAt && (
          <Fact name={words.expires}>
            <Time at={expiresAt} />
          </Fact>
        )}
        {expiresAt && isMoving(state) && (
          <Fact name={words.ends}>
            <Countdown until={expiresAt} />
          </Fact>
        )}
        {approvers && (
          <Fact name={words.approvers}>
            <Visible>{approvers.join(', ')}</Visible>
          </Fact>
        )}
      </dl>
    </section>
  )
}
