import { canonical } from 'synap-verify'
import { useMemo, useState } from 'preact/hooks'
import { CopyButton } from '../../components/copy'
import { Icon } from '../../components/icon'
import { Visible } from '../../components/visible'
import type { IntentChain, SynapEvent } from '../../contract'
import { bytesOf } from '../../shown'
import * as textSaid from '../../text/common'
import { words as eventWords } from '../../text/event'
import * as said from '../../text/inbox'
import { words } from '../../text/inbox'
import { pieces } from '../../visible'
import { save } from '../events/export'

/** Above this the bytes are offered as a file. */
const LARGE = 256_000

/** What a start has to bring: the canonical JSON of `data.parameters`, or of all data without such a member. */
export function exactly({ data }: SynapEvent): string {
  return canonical(Object.hasOwn(data, 'parameters') ? (data as { parameters?: unknown }).parameters : data)
}

/** The bytes that an approval is for. Nothing in them is left to the eye. */
export function Exact({ of: { event, state } }: { of: IntentChain }) {
  const written = useMemo(() => exactly(event), [event.hash])
  const [whole, setWhole] = useState(written.length <= LARGE)
  const title = said.exact[state === 'open' ? 'would' : state === 'approved' || state === 'used_up' ? 'was' : 'never']
  const parts = useMemo(() => pieces(written), [written])
  const hidden = parts.filter(({ code }) => code !== undefined).length
  return (
    <section class="card" aria-label={title}>
      <header class="page-head">
        <h2>{title}</h2>
        <span class="hint">{bytesOf(new TextEncoder().encode(written).length)}</span>
        <div class="actions">
          <CopyButton name={words.bytes} value={written} />
          <button type="button" class="button" onClick={() => save(new Blob([written], { type: 'application/json' }), `${event.id}-approved.json`)}>
            <Icon name="download" />
            {eventWords.download}
          </button>
        </div>
      </header>
      <p class="quiet-text">{words.exactLead}</p>
      {hidden > 0 && (
        <p class="notice warn">
          <Icon name="warning" />
          {said.hidden(hidden)}
        </p>
      )}
      {whole ? (
        <pre class="answer exact" tabindex={0}>
          <Visible>{written}</Visible>
        </pre>
      ) : (
        <p class="notice">
          {said.large(bytesOf(written.length))}{' '}
          <button type="button" class="button" onClick={() => setWhole(true)}>
            {textSaid.showAll(bytesOf(written.length))}
          </button>
        </p>
      )}
    </section>
  )
}
