import { CopyButton } from '../../components/copy'
import { Fact } from '../../components/fact'
import { Visible } from '../../components/visible'
import type { Pick } from '../../components/tree'
import type { SynapEvent } from '../../contract'
import { to } from '../../router'
import { localOf, numberOf, offsetOf, relativeOf, ZONE } from '../../shown'
import { words as text } from '../../text/common'
import * as said from '../../text/event'
import { words } from '../../text/event'
import { words as eventsWords } from '../../text/events'

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/** Who, what and when. */
export function Facts({ event, onPick }: { event: SynapEvent; onPick: Pick }) {
  const value = (name: string, path: string, content: string | undefined) =>
    content ? (
      <Fact name={name}>
        <button type="button" class="cell-value wrap" title={text.pick} onClick={(click) => onPick(path, content, click.altKey)}>
          <Visible>{content}</Visible>
        </button>
      </Fact>
    ) : null
  const cause = event.causationId
  return (
    <section class="card event-facts" aria-label={words.facts}>
      <dl class="facts">
        <Moment name={words.logged} at={event.timestamp} />
        {event.occurredAt && <Moment name={words.occurred} at={event.occurredAt} />}
        {value(eventsWords.user, 'userId', event.userId)}
        {value(eventsWords.subject, 'subjectId', event.subjectId)}
        {value(eventsWords.source, 'source', event.source)}
        {value(eventsWords.producer, 'producer', event.producer)}
        {value(eventsWords.correlation, 'correlationId', event.correlationId)}
        {cause && (
          <Fact name={words.cause}>
            {UUID.test(cause) ? (
              <a class="mono" href={to(['events', cause])}>
                {cause}
              </a>
            ) : (
              <Visible>{cause}</Visible>
            )}
          </Fact>
        )}
        <Fact name={eventsWords.seq}>{numberOf(event.seq)}</Fact>
        <Fact name={words.id}>
          <span class="mono">{event.id}</span>
          <CopyButton name={said.copies.id} value={event.id} />
        </Fact>
        <Fact name={words.hash}>
          <span class="mono">{event.hash}</span>
          <CopyButton name={said.copies.hash} value={event.hash} />
        </Fact>
      </dl>
    </section>
  )
}

/** A time as the reader's zone and UTC have it, and how long ago it was. */
function Moment({ name, at }: { name: string; at: string }) {
  const date = new Date(at)
  return (
    <Fact name={name}>
      <time datetime={at}>
        <span class="mono">{localOf(date)}</span> <span class="quiet-text">{`${ZONE} (${offsetOf(date)})`}</span>
        <br />
        <span class="mono">{at.replace('T', ' ').replace('Z', '')}</span> <span class="quiet-text">{text.utc}</span>
        <br />
        <span class="quiet-text">{relativeOf(date)}</span>
      </time>
    </Fact>
  )
}
