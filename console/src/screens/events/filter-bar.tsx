import { useEffect, useId, useState } from 'preact/hooks'
import type { Failure } from '../../api'
import { Choice, DraftField, Field, TextField } from '../../components/field'
import { Form } from '../../components/form'
import { Icon } from '../../components/icon'
import { Visible } from '../../components/visible'
import { useAccess } from '../../key'
import { useLoad } from '../../load'
import { fieldOf, numberOf } from '../../shown'
import * as eventsSaid from '../../text/events'
import { words as eventsWords } from '../../text/events'
import * as filterSaid from '../../text/filter'
import { words as filterWords } from '../../text/filter'
import { described } from './described'
import { parsedFilter, RANGES, simple, typed, without, type Filter, type View } from './view'

const SOURCES = ['api', 'automation', 'sync', 'migration', 'system', 'intelligence']
const TYPING_MS = 150
const TYPES = 50

interface FilterBarProps {
  view: View
  failure: Failure | undefined
  onChange: (changes: Partial<View>) => void
}

/** The builder, and beside it the filter language's JSON. Both change the same filter. */
export function FilterBar({ view, failure, onChange }: FilterBarProps) {
  const [json, setJson] = useState(false)
  const { filter } = view
  const change = (next: Filter) => onChange({ filter: next })
  const set = (field: string) => (value: string) => change(typed(filter, field, value))
  const others = Object.keys(filter).filter((field) => !isInBuilder(filter, field))
  const hasAny = Object.keys(filter).length > 0 || view.range || view.from || view.to
  const field = (path: string) => ({ path: `filter.${path}`, failure, value: simple(filter, path), onSet: set(path) })
  return (
    <search class="filters" aria-label={filterWords.title}>
      <div class="filter-fields">
        <TypeField {...field('type')} />
        <Choice label={eventsWords.source} value={simple(filter, 'source')} onChoose={set('source')} options={[['', filterWords.any], ...SOURCES.map((name) => [name, name] as const)]} />
        <Condition label={eventsWords.user} {...field('userId')} />
        <Condition label={eventsWords.subject} {...field('subjectId')} />
        <Condition label={eventsWords.agent} {...field('metadata.ai.agent')} />
        <Choice
          label={filterWords.metadata}
          value={metadataOf(filter)}
          onChoose={(value) => change(value ? { ...filter, metadata: { isNull: value === 'none' } } : without(filter, 'metadata'))}
          options={[['', filterWords.any], ['some', filterWords.hasMetadata], ['none', filterWords.hasNone]]}
        />
        <TimeRange view={view} onChange={onChange} failure={failure} />
        <button type="button" class="button" aria-expanded={json} onClick={() => setJson(!json)}>
          {filterWords.json}
        </button>
        {hasAny && (
          <button type="button" class="button quiet" onClick={() => onChange({ filter: {}, range: undefined, from: undefined, to: undefined })}>
            {filterWords.clear}
          </button>
        )}
      </div>
      {others.length > 0 && (
        <ul class="chips" aria-label={filterWords.conditions}>
          {others.map((name) => (
            <li key={name} class="chip">
              <Visible>{described(name, filter[name])}</Visible>
              <button type="button" aria-label={filterSaid.remove(name)} onClick={() => change(without(filter, name))}>
                <Icon name="cross" />
              </button>
            </li>
          ))}
        </ul>
      )}
      {json && <JsonFilter filter={filter} failure={failure} onApply={change} />}
    </search>
  )
}

const IN_BUILDER = ['type', 'source', 'userId', 'subjectId', 'metadata.ai.agent']

function isInBuilder(filter: Filter, field: string): boolean {
  return (IN_BUILDER.includes(field) && simple(filter, field) !== '') || (field === 'metadata' && metadataOf(filter) !== '')
}

function metadataOf({ metadata }: Filter): '' | 'some' | 'none' {
  const isNull = typeof metadata === 'object' && metadata !== null && 'isNull' in metadata ? metadata.isNull : undefined
  return isNull === undefined ? '' : isNull ? 'none' : 'some'
}

interface ConditionProps {
  label: string
  value: string
  onSet: (value: string) => void
  path: string
  failure: Failure | undefined
  list?: string
  onTyping?: (value: string) => void
}

function Condition({ path, ...others }: ConditionProps) {
  return <DraftField {...others} paths={[path]} type="search" data-filter={path} autocomplete="off" placeholder={filterWords.any} />
}

/** Completes the types that the log has. */
function TypeField(props: Omit<ConditionProps, 'label'>) {
  const { api, workspace } = useAccess()
  const list = useId()
  const [prefix, setPrefix] = useState('')
  const [asked, setAsked] = useState('')
  useEffect(() => {
    const timer = setTimeout(() => setAsked(/^[A-Za-z0-9_.-]*/.exec(prefix)?.[0].slice(0, 128) ?? ''), TYPING_MS)
    return () => clearTimeout(timer)
  }, [prefix])
  const load = useLoad(`${workspace} ${asked}`, (signal) => api.events.types.query({ prefix: asked, limit: TYPES }, { signal }))
  return (
    <>
      <Condition {...props} label={eventsWords.type} list={list} onTyping={setPrefix} />
      <datalist id={list}>
        {load.value?.types.map(({ type, count }) => (
          <option key={type} value={type} label={eventsSaid.count(numberOf(count), count)} />
        ))}
      </datalist>
    </>
  )
}

function TimeRange({ view, onChange, failure }: FilterBarProps) {
  const isCustom = view.range === undefined && Boolean(view.from || view.to)
  const [custom, setCustom] = useState(isCustom)
  useEffect(() => setCustom(isCustom), [isCustom])
  const choose = (value: string) => {
    setCustom(value === 'custom')
    if (value !== 'custom') onChange({ range: value || undefined, from: undefined, to: undefined })
    else if (view.range) onChange({ range: undefined, from: new Date(Date.now() - (RANGES[view.range] ?? 0) * 1_000).toISOString() })
  }
  const options = [['', filterWords.anyTime], ...Object.keys(RANGES).map((name) => [name, filterSaid.ranges[name] ?? name] as const), ['custom', filterWords.custom]] as const
  return (
    <>
      <Choice label={eventsWords.time} value={custom ? 'custom' : (view.range ?? '')} options={options} onChoose={choose} />
      {custom &&
        (['from', 'to'] as const).map((end) => (
          <Field key={end} label={filterSaid.ends[end]} paths={[end]} failure={failure}>
            {(control) => (
              <input
                {...control}
                type="datetime-local"
                step="0.001"
                value={fieldOf(view[end])}
                onChange={(event) => onChange({ range: undefined, [end]: instantOf(event.currentTarget.value) })}
              />
            )}
          </Field>
        ))}
    </>
  )
}

function instantOf(local: string): string | undefined {
  const at = new Date(local)
  return Number.isNaN(at.getTime()) ? undefined : at.toISOString()
}

interface JsonFilterProps {
  filter: Filter
  failure: Failure | undefined
  onApply: (filter: Filter) => void
}

function JsonFilter({ filter, failure, onApply }: JsonFilterProps) {
  const written = JSON.stringify(filter, null, 2)
  const [draft, setDraft] = useState(written)
  const [invalid, setInvalid] = useState(false)
  useEffect(() => setDraft(written), [written])
  const apply = () => {
    const next = parsedFilter(draft)
    setInvalid(next === undefined)
    if (next !== undefined) onApply(next)
  }
  return (
    <Form class="filter-json" onSubmit={apply}>
      <TextField
        label={filterWords.jsonLabel}
        hint={filterWords.jsonHint}
        paths={['filter']}
        failure={failure}
        rows={Math.min(16, Math.max(4, draft.split('\n').length))}
        value={draft}
        onText={setDraft}
        onKeyDown={(event) => event.key === 'Enter' && (event.ctrlKey || event.metaKey) && apply()}
      />
      {invalid && (
        <p class="issues" role="alert">
          {filterWords.notJson}
        </p>
      )}
      <button type="submit" class="button primary">
        {filterWords.apply}
      </button>
    </Form>
  )
}
