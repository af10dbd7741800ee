import { useState } from 'preact/hooks'
import { CopyButton } from '../../components/copy'
import { Field } from '../../components/field'
import { FailureNotice } from '../../components/states'
import { useAccess } from '../../key'
import { useAction } from '../../load'
import { bytesOf } from '../../shown'
import * as words from '../../text/ledger'
import { judgeCheckpoints, judgeEvent, judgeFile, Unusable } from './judge'
import { Card } from './screen'
import { VerdictNotice } from './verdict'

/** An action that this browser may also refuse, with what it says then. */
function useJudge<T, TArguments extends unknown[]>(judge: (...values: TArguments) => Promise<T>) {
  const [result, setResult] = useState<T>()
  const [problem, setProblem] = useState('')
  const action = useAction(async (...values: TArguments) => {
    setResult(undefined)
    setProblem('')
    try {
      setResult(await judge(...values))
    } catch (error) {
      if (!(error instanceof Unusable)) throw error
      setProblem(error.message)
    }
  })
  const notice = (fields: string[]) => (
    <>
      {problem && (
        <p class="notice bad" role="alert">
          {problem}
        </p>
      )}
      {action.failure && <FailureNotice failure={action.failure} fields={fields} />}
    </>
  )
  return { ...action, result, notice }
}

/** Whether two checkpoints that were kept are of the same log, and this log still begins with both. */
export function Consistency() {
  const { api } = useAccess()
  const [one, setOne] = useState('')
  const [other, setOther] = useState('')
  const judge = useJudge(() => judgeCheckpoints(api, [one, other].filter((note) => note.trim())))
  const submit = (event: Event) => {
    event.preventDefault()
    judge.run()
  }
  return (
    <Card title={words.consistency} lead={words.consistencyLead}>
      <form class="group" onSubmit={submit}>
        <Field label={words.earlier}>
          {(control) => <textarea {...control} rows={5} required spellcheck={false} value={one} onInput={(event) => setOne(event.currentTarget.value)} />}
        </Field>
        <Field label={words.later} hint={words.laterHint}>
          {(control) => <textarea {...control} rows={5} spellcheck={false} value={other} onInput={(event) => setOther(event.currentTarget.value)} />}
        </Field>
        <div class="actions">
          <button type="submit" class="button primary" disabled={judge.running}>
            {words.compare}
          </button>
        </div>
        {judge.notice([])}
        {judge.result?.map((verdict, place) => <VerdictNotice key={place} of={verdict} name={place === 0 ? words.earlier : words.later} />)}
      </form>
    </Card>
  )
}

/** The proof of one event: to look at, and to take away. */
export function Proof() {
  const { api } = useAccess()
  const [id, setId] = useState('')
  const judge = useJudge(() => judgeEvent(api, id.trim()))
  const submit = (event: Event) => {
    event.preventDefault()
    judge.run()
  }
  return (
    <Card title={words.proof} lead={words.proofLead}>
      <form class="group" onSubmit={submit}>
        <Field label={words.eventId} paths={['eventId']} failure={judge.failure}>
          {(control) => <input {...control} class="mono" required spellcheck={false} value={id} onInput={(event) => setId(event.currentTarget.value)} />}
        </Field>
        <div class="actions">
          <button type="submit" class="button primary" disabled={judge.running}>
            {words.prove}
          </button>
          {judge.result && <CopyButton name={words.theProof} label={words.copyProof} value={JSON.stringify(judge.result.proof, null, 2)} />}
        </div>
        {judge.notice(['eventId'])}
        {judge.result && <VerdictNotice of={judge.result.verdict} name={words.proof} />}
      </form>
    </Card>
  )
}

/** An export or a proof from a file. It stays in this browser. */
export function Bundle() {
  const [file, setFile] = useState<File>()
  const [kept, setKept] = useState('')
  const [done, setDone] = useState(0)
  const judge = useJudge((given: File) => judgeFile(given, kept, (count, total) => setDone(count / Math.max(total, 1))))
  const take = (given: File | undefined) => {
    if (!given) return
    setFile(given)
    setDone(0)
    judge.run(given)
  }
  const drop = (event: DragEvent) => {
    event.preventDefault()
    take(event.dataTransfer?.files[0])
  }
  return (
    <div onDragOver={(event) => event.preventDefault()} onDrop={drop}>
      <Card title={words.bundle} lead={words.bundleLead}>
        <div class="pair">
          <Field label={words.file} hint={words.fileHint}>
            {(control) => <input {...control} type="file" class="drop" onChange={(event) => take(event.currentTarget.files?.[0])} />}
          </Field>
          <Field label={words.kept} hint={words.keptHint}>
            {(control) => <textarea {...control} rows={4} spellcheck={false} value={kept} onInput={(event) => setKept(event.currentTarget.value)} />}
          </Field>
        </div>
        {judge.running && file && (
          <p class="notice quiet" role="status">
            <span class="spinner" aria-hidden="true" />
            {words.judging(file.name, bytesOf(file.size), Math.round(done * 100))}
          </p>
        )}
        {judge.notice([])}
        {judge.result && file && <VerdictNotice of={judge.result} name={file.name} />}
      </Card>
    </div>
  )
}
