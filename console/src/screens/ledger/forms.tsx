import { useState } from 'preact/hooks'
import { CopyButton } from '../../components/copy'
import { Field, TextField } from '../../components/field'
import { Form } from '../../components/form'
import { FailureNotice, Waiting } from '../../components/states'
import { useAccess } from '../../key'
import { useAction } from '../../load'
import { bytesOf } from '../../shown'
import * as said from '../../text/ledger'
import { words } from '../../text/ledger'
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
      <FailureNotice failure={action.failure} fields={fields} />
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
  return (
    <Card title={words.consistency} lead={words.consistencyLead}>
      <Form class="group" onSubmit={judge.run}>
        <TextField label={words.earlier} rows={5} required value={one} onText={setOne} />
        <TextField label={words.later} hint={words.laterHint} rows={5} value={other} onText={setOther} />
        <div class="actions">
          <button type="submit" class="button primary" disabled={judge.running}>
            {words.compare}
          </button>
        </div>
        {judge.notice([])}
        {judge.result?.map((verdict, place) => <VerdictNotice key={place} of={verdict} name={place === 0 ? words.earlier : words.later} />)}
      </Form>
    </Card>
  )
}

/** The proof of one event: to look at, and to take away. */
export function Proof() {
  const { api } = useAccess()
  const [id, setId] = useState('')
  const judge = useJudge(() => judgeEvent(api, id.trim()))
  return (
    <Card title={words.proof} lead={words.proofLead}>
      <Form class="group" onSubmit={judge.run}>
        <TextField label={words.eventId} paths={['eventId']} failure={judge.failure} class="mono" required value={id} onText={setId} />
        <div class="actions">
          <button type="submit" class="button primary" disabled={judge.running}>
            {words.prove}
          </button>
          {judge.result && <CopyButton name={words.theProof} label={words.copyProof} value={JSON.stringify(judge.result.proof, null, 2)} />}
        </div>
        {judge.notice(['eventId'])}
        {judge.result && <VerdictNotice of={judge.result.verdict} name={words.proof} />}
      </Form>
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
          <TextField label={words.kept} hint={words.keptHint} rows={4} value={kept} onText={setKept} />
        </div>
        {judge.running && file && <Waiting>{said.judging(file.name, bytesOf(file.size), Math.round(done * 100))}</Waiting>}
        {judge.notice([])}
        {judge.result && file && <VerdictNotice of={judge.result} name={file.name} />}
      </Card>
    </div>
  )
}
