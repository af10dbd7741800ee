import { useState } from 'preact/hooks'
import { Field } from '../../components/field'
import { FailureNotice } from '../../components/states'
import { Time } from '../../components/time'
import { Visible } from '../../components/visible'
import type { CreatedSubscription, LiveEventFilter } from '../../contract'
import { useHotkeys } from '../../hotkeys'
import { may, useAccess } from '../../key'
import { useAction } from '../../load'
import { go, to } from '../../router'
import { numberOf } from '../../shown'
import * as words from '../../text/webhooks'
import { Secrets } from './acts'
import { dryRun, type DryRun } from './dry-run'

const FIELDS = ['webhookUrl', 'eventTypes', 'filter', 'description', 'startFrom']
const SAMPLES = 5

/** Register a webhook, after a look at what it would have got. */
export function NewWebhook() {
  const { api, key } = useAccess()
  const [url, setUrl] = useState('')
  const [types, setTypes] = useState('*')
  const [filter, setFilter] = useState('')
  const [description, setDescription] = useState('')
  const [start, setStart] = useState('now')
  const [ordered, setOrdered] = useState(false)
  const [made, setMade] = useState<CreatedSubscription>()
  const [run, setRun] = useState<DryRun>()
  const eventTypes = types.split(/[\s,]+/).filter(Boolean)
  const parsed = parse(filter)
  useHotkeys({ Escape: () => go(to(['webhooks'])) })
  const create = useAction(async () => {
    const given = { webhookUrl: url.trim(), eventTypes, filter: parsed.filter, description: description || undefined }
    setMade(await api.subscriptions.create.mutate({ ...given, ordered, startFrom: start.trim() || undefined }))
  })
  const look = useAction(async () => {
    setRun(undefined)
    setRun(await dryRun(api, eventTypes, parsed.filter))
  })
  const failure = create.failure ?? look.failure
  const at = (path: string) => ({ paths: [path], failure })
  const submit = (event: Event) => {
    event.preventDefault()
    if (!parsed.problem) create.run()
  }
  return (
    <div class="page form">
      <p>
        <a href={to(['webhooks'])}>{words.back}</a>
      </p>
      <h1>{words.make}</h1>
      <form class="card" onSubmit={submit} novalidate>
        {failure && <FailureNotice failure={failure} fields={FIELDS} />}
        <Field label={words.url} hint={words.urlHint} {...at('webhookUrl')}>
          {(control) => <input {...control} type="url" value={url} spellcheck={false} onInput={(event) => setUrl(event.currentTarget.value)} />}
        </Field>
        <Field label={words.description} {...at('description')}>
          {(control) => <input {...control} value={description} onInput={(event) => setDescription(event.currentTarget.value)} />}
        </Field>
        <Field label={words.types} hint={words.typesHint} {...at('eventTypes')}>
          {(control) => <input {...control} class="mono" value={types} spellcheck={false} onInput={(event) => setTypes(event.currentTarget.value)} />}
        </Field>
        <Field label={words.filter} hint={parsed.problem ?? words.filterHint} {...at('filter')}>
          {(control) => (
            <textarea {...control} rows={5} spellcheck={false} value={filter} aria-invalid={Boolean(parsed.problem) || control['aria-invalid']} onInput={(event) => setFilter(event.currentTarget.value)} />
          )}
        </Field>
        {may(key, 'events:read', 'events:read-own') && (
          <div class="actions">
            <button type="button" class="button" disabled={look.running || Boolean(parsed.problem)} onClick={() => look.run()}>
              {words.look}
            </button>
            {run && <Found of={run} />}
          </div>
        )}
        <Field label={words.start} hint={words.startHint} {...at('startFrom')}>
          {(control) => <input {...control} value={start} spellcheck={false} onInput={(event) => setStart(event.currentTarget.value)} />}
        </Field>
        <label class="choice">
          <input type="checkbox" checked={ordered} onChange={() => setOrdered(!ordered)} />
          {words.ordered}
        </label>
        <div class="actions">
          <button type="submit" class="button primary" disabled={create.running || Boolean(parsed.problem)}>
            {words.makeIt}
          </button>
        </div>
      </form>
      {made && <Secrets title={words.madeTitle} of={made} onClose={() => go(to(['webhooks', made.subscriptionId]), 'replace')} />}
    </div>
  )
}

function Found({ of: { of, matches } }: { of: DryRun }) {
  return (
    <div class="grow" role="status">
      <p>
        <strong>{words.found(numberOf(matches.length), numberOf(of))}</strong>
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

function parse(written: string): { filter?: LiveEventFilter; problem?: string } {
  if (!written.trim()) return {}
  try {
    return { filter: JSON.parse(written) as LiveEventFilter }
  } catch {
    return { problem: words.filterBroken }
  }
}
