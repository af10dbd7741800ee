import { useState } from 'preact/hooks'
import { TextField } from '../../components/field'
import { Form } from '../../components/form'
import { isWhole, JsonField } from '../../components/json-field'
import { FailureNotice } from '../../components/states'
import { Time } from '../../components/time'
import { Visible } from '../../components/visible'
import type { CreatedSubscription, LiveEventFilter } from '../../contract'
import { useHotkeys } from '../../hotkeys'
import { may, useAccess } from '../../key'
import { useAction } from '../../load'
import { go, to } from '../../router'
import { numberOf } from '../../shown'
import * as said from '../../text/webhooks'
import { words } from '../../text/webhooks'
import { Secrets } from './acts'
import { dryRun, type DryRun } from './dry-run'

const FIELDS = ['webhookUrl', 'eventTypes', 'filter', 'description', 'startFrom']
const SAMPLES = 5

/** Register a webhook, after a look at what it would have got. */
export function NewWebhook() {
  const { api, key } = useAccess()
  const [url, setUrl] = useState('')
  const [types, setTypes] = useState('*')
  const [filter, setFilter] = useState<unknown>()
  const [description, setDescription] = useState('')
  const [start, setStart] = useState('now')
  const [ordered, setOrdered] = useState(false)
  const [made, setMade] = useState<CreatedSubscription>()
  const [run, setRun] = useState<DryRun>()
  const eventTypes = types.split(/[\s,]+/).filter(Boolean)
  const isReady = isWhole(filter)
  useHotkeys({ Escape: () => go(to(['webhooks'])) })
  const create = useAction(async () => {
    const given = { webhookUrl: url.trim(), eventTypes, filter: filter as LiveEventFilter | undefined, description: description || undefined }
    setMade(await api.subscriptions.create.mutate({ ...given, ordered, startFrom: start.trim() || undefined }))
  })
  const look = useAction(async () => {
    setRun(undefined)
    setRun(await dryRun(api, eventTypes, filter as LiveEventFilter | undefined))
  })
  const failure = create.failure ?? look.failure
  const at = (path: string) => ({ paths: [path], failure })
  return (
    <div class="page form">
      <p>
        <a href={to(['webhooks'])}>{words.back}</a>
      </p>
      <h1>{words.make}</h1>
      <Form class="card" onSubmit={create.run} novalidate>
        <FailureNotice failure={failure} fields={FIELDS} />
        <TextField label={words.url} hint={words.urlHint} {...at('webhookUrl')} type="url" value={url} onText={setUrl} />
        <TextField label={words.description} {...at('description')} spellcheck value={description} onText={setDescription} />
        <TextField label={words.types} hint={words.typesHint} {...at('eventTypes')} class="mono" value={types} onText={setTypes} />
        <JsonField label={words.filter} hint={words.filterHint} {...at('filter')} rows={5} value={filter} onChange={setFilter} />
        {may(key, 'events:read', 'events:read-own') && (
          <div class="actions">
            <button type="button" class="button" disabled={look.running || !isReady} onClick={() => look.run()}>
              {words.look}
            </button>
            {run && <Found of={run} />}
          </div>
        )}
        <TextField label={words.start} hint={words.startHint} {...at('startFrom')} value={start} onText={setStart} />
        <label class="choice">
          <input type="checkbox" checked={ordered} onChange={() => setOrdered(!ordered)} />
          {words.ordered}
        </label>
        <div class="actions">
          <button type="submit" class="button primary" disabled={create.running || !isReady}>
            {words.makeIt}
          </button>
        </div>
      </Form>
      {made && <Secrets title={words.madeTitle} of={made} onClose={() => go(to(['webhooks', made.subscriptionId]), 'replace')} />}
    </div>
  )
}

function Found({ of: { of, matches } }: { of: DryRun }) {
  return (
    <div class="grow" role="status">
      <p>
        <strong>{said.found(numberOf(matches.length), numberOf(of))}</strong>
      </p>
      <ul aria-label={words.samples}>
        {matches.slice(0, SAMPLES).map(({ id, type, timestamp }) => (
          <li key={id}>
            <code>
              <Visible>{type}</Visible>
            </code>{' '}
            <span class="hint">
              <Time at={timestamp} relative />
            </span>
          </li>
        ))}
      </ul>
    </div>
  )
}
