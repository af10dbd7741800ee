import { useState } from 'preact/hooks'
import { CopyButton } from '../../components/copy'
import { TextField } from '../../components/field'
import { Form } from '../../components/form'
import { isWhole, JsonField } from '../../components/json-field'
import { SchemaForm } from '../../components/schema-form'
import { Empty, FailureNotice, Loaded } from '../../components/states'
import { Tree } from '../../components/tree'
import { Visible } from '../../components/visible'
import type { Api, Scope } from '../../api'
import type { DescribedProcedure } from '../../contract'
import { may, useAccess } from '../../key'
import { useAction, useLoad } from '../../load'
import { changeQuery, to, useRoute } from '../../router'
import { useRowKeys } from '../../rows'
import { bytesOf, durationOf } from '../../shown'
import { skeleton, type Schema } from '../../skeleton'
import * as said from '../../text/procedures'
import { words } from '../../text/procedures'

const LARGE = 256_000

/** Every procedure of the server, and one of them to call. */
export function ApiScreen() {
  const { api } = useAccess()
  const { query, rest } = useRoute()
  const load = useLoad('procedures', (signal) => api.procedures.list.query(undefined, { signal }))
  const find = query.get('find') ?? ''
  useRowKeys()
  return (
    <div class="page">
      <h1>{words.title}</h1>
      <p class="quiet-text">{words.lead}</p>
      <Loaded load={load}>
        {(procedures) => {
          const found = procedures.filter(({ name }) => name.toLowerCase().includes(find.toLowerCase()))
          const chosen = procedures.find(({ name }) => name === rest[0])
          return (
            <div class="beside">
              <div class="group">
                <TextField label={words.find} data-filter value={find} onText={(text) => changeQuery({ find: text }, 'replace')} />
                {found.length === 0 && <Empty title={words.none} />}
                <ul class="group" aria-label={words.list}>
                  {found.map((each) => (
                    <li key={each.name}>
                      <a href={to(['api', each.name], { find })} aria-current={each === chosen ? 'true' : undefined}>
                        <code>{each.name}</code>
                      </a>{' '}
                      <span class="hint">{each.summary}</span>
                    </li>
                  ))}
                </ul>
              </div>
              {chosen && <Procedure key={chosen.name} of={chosen} />}
            </div>
          )
        }}
      </Loaded>
    </div>
  )
}

function Procedure({ of }: { of: DescribedProcedure }) {
  const { key } = useAccess()
  const { name, kind, scope, description, errors, input, output } = of
  const mayCall = !scope || may(key, scope, ...(scope === 'events:read' ? ['events:read-own' as Scope] : []))
  return (
    <section class="card group" aria-label={name}>
      <h2 class="mono">{name}</h2>
      <p>
        <span class="badge">{said.kinds[kind]}</span> <span class="badge">{scope ? said.needs(scope) : words.anyKey}</span>
      </p>
      <p>
        <Visible multiline>{description}</Visible>
      </p>
      <p class="hint">
        {words.errors}: {errors.map(({ reason }) => reason).join(', ')}
      </p>
      {!mayCall ? <p class="notice">{words.lacking}</p> : kind === 'subscription' ? <p class="notice">{words.stream}</p> : <Call of={of} />}
      <h3>{words.schemas}</h3>
      <Tree value={{ input, output }} name={words.schemas} />
    </section>
  )
}

interface Answer {
  written: string
  milliseconds: number
}

function Call({ of: { name, kind, input } }: { of: DescribedProcedure }) {
  const { api } = useAccess()
  const schema = input as Schema
  const [value, setValue] = useState(() => skeleton(schema))
  const [answer, setAnswer] = useState<Answer>()
  const call = useAction(async () => {
    setAnswer(undefined)
    const began = performance.now()
    const answered = await called(api, name, kind === 'query', value)
    setAnswer({ written: JSON.stringify(answered, null, 2) ?? '', milliseconds: performance.now() - began })
  })
  return (
    <Form class="group" onSubmit={call.run} novalidate>
      <SchemaForm schema={schema} root={schema} value={value} path="" failure={call.failure} onChange={setValue} />
      <JsonField label={words.input} hint={words.json} rows={6} value={value} onChange={setValue} />
      {kind === 'mutation' && <p class="notice warn">{words.changes}</p>}
      <div class="actions">
        <button type="submit" class="button primary" disabled={!isWhole(value) || call.running}>
          {words.run}
        </button>
      </div>
      <FailureNotice failure={call.failure} hasFields />
      {answer && (
        <section class="group" aria-label={words.answer} role="status">
          <h3>
            {words.answer} <span class="hint">{durationOf(answer.milliseconds)}</span> <CopyButton name={words.answer} value={answer.written} />
          </h3>
          <pre class="answer" tabindex={0}>
            {answer.written.length > LARGE ? said.large(bytesOf(answer.written.length)) : <Visible multiline>{answer.written}</Visible>}
          </pre>
        </section>
      )}
    </Form>
  )
}

/** Call a procedure by its name. The client makes each of its members when it is asked for. */
function called(api: Api, name: string, isQuery: boolean, input: unknown): Promise<unknown> {
  const procedure = name.split('.').reduce<any>((within, part) => within[part], api)
  return isQuery ? procedure.query(input) : procedure.mutate(input)
}
