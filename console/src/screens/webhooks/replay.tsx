import { useState } from 'preact/hooks'
import { Dialog } from '../../components/dialog'
import { Field } from '../../components/field'
import { FailureNotice } from '../../components/states'
import { useAccess } from '../../key'
import { useAction } from '../../load'
import { numberOf } from '../../shown'
import * as text from '../../text/common'
import * as words from '../../text/webhooks'

/** Deliver the events of a range of the log again. */
export function Replay({ id, onClose, onDone }: { id: string; onClose: () => void; onDone: () => void }) {
  const { api } = useAccess()
  const [from, setFrom] = useState('')
  const [to, setTo] = useState('')
  const [count, setCount] = useState<number>()
  const action = useAction(async () => {
    const range = { fromSeq: Number(from), toSeq: Number(to) }
    setCount((await api.subscriptions.replay.mutate({ subscriptionId: id, ...range })).deliveries)
    onDone()
  })
  const submit = (event: Event) => {
    event.preventDefault()
    action.run()
  }
  return (
    <Dialog title={words.replayTitle} stays onClose={onClose}>
      <form onSubmit={submit}>
        <p>{words.replayLead}</p>
        {action.failure && <FailureNotice failure={action.failure} fields={['fromSeq', 'toSeq']} />}
        <div class="columns">
          <Field label={words.fromSeq} paths={['fromSeq']} failure={action.failure}>
            {(control) => <input {...control} type="number" min={0} required value={from} onInput={(event) => setFrom(event.currentTarget.value)} />}
          </Field>
          <Field label={words.toSeq} paths={['toSeq']} failure={action.failure}>
            {(control) => <input {...control} type="number" min={0} required value={to} onInput={(event) => setTo(event.currentTarget.value)} />}
          </Field>
        </div>
        {count !== undefined && (
          <p class="notice good" role="status">
            {words.replayed(numberOf(count))}
          </p>
        )}
        <div class="actions end">
          <button type="button" class="button" onClick={onClose}>
            {text.close}
          </button>
          <button type="submit" class="button primary" disabled={action.running}>
            {words.replayIt}
          </button>
        </div>
      </form>
    </Dialog>
  )
}
