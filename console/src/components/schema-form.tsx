import type { Failure } from '../api'
import { labelOf } from '../shown'
import { membersOf, resolved, skeleton, type Schema } from '../skeleton'
import * as textSaid from '../text/common'
import { words as text } from '../text/common'
import { Choice, Choices, Issues, TextField } from './field'
import { JsonField } from './json-field'

type Members = Record<string, unknown>

interface PlaceProps {
  schema: Schema
  /** The schema that has the `$defs`. */
  root: Schema
  value: unknown
  /** Where the value is in the input, as issues name places. */
  path: string
  failure: Failure | undefined
  onChange: (value: unknown) => void
}

/** A form of a JSON Schema, for the members of one object. What no control can show is written as JSON. */
export function SchemaForm({ schema, root, value, path, failure, onChange }: PlaceProps) {
  const given = isRecord(value) ? value : {}
  const members = membersOf(schema, root, given)
  const { required = [] } = resolved(schema, root)
  const names = [...new Set([...required, ...Object.keys(members)])]
  const before = path && `${path}.`
  return (
    <div class="columns">
      {names.map((name) => (
        <Place
          key={name}
          label={labelOf(name)}
          isRequired={required.includes(name)}
          schema={members[name] ?? {}}
          root={root}
          value={given[name]}
          path={before + name}
          failure={failure}
          onChange={(next) => onChange(changed(given, name, next))}
        />
      ))}
      <Issues issues={otherIssues(failure, path, before, names)} />
    </div>
  )
}

/** What the server says of an object itself, and of members that it may not have, which have no field. */
function otherIssues(failure: Failure | undefined, path: string, before: string, names: string[]): Failure['issues'] {
  const issues = failure?.issues ?? []
  const own = issues.filter((issue) => issue.path === path)
  const below = issues.filter((issue) => issue.path.startsWith(before) && issue.path !== path)
  const unknown = below.filter((issue) => !names.includes(issue.path.slice(before.length).split('.')[0] ?? ''))
  return [...own, ...unknown.map((issue) => ({ ...issue, message: `${issue.path}: ${issue.message}` }))]
}

interface NamedProps extends PlaceProps {
  label: string
  isRequired: boolean
}

function Place(props: NamedProps) {
  const { label, isRequired, schema: given, root, value, path, failure, onChange } = props
  const schema = resolved(given, root)
  const field = { label, hint: given.description ?? schema.description, paths: [path], failure }
  const choices = schema.type === 'boolean' ? [true, false] : schema.enum
  const isText = schema.type === 'string' || schema.type === 'number' || schema.type === 'integer'
  const several = schema.type === 'array' && resolved(schema.items ?? {}, root).enum
  if (choices) {
    const options = choices.map((choice) => [JSON.stringify(choice), String(choice)] as const)
    return <Choice {...field} value={JSON.stringify(value) ?? ''} options={[['', text.none], ...options]} onChoose={(chosen) => onChange(chosen ? JSON.parse(chosen) : undefined)} />
  }
  if (isText && typeof value !== 'object') {
    const write = (written: string) => onChange(written || isRequired ? (schema.type === 'string' ? written : numberIn(written)) : undefined)
    return <TextField {...field} value={String(value ?? '')} onText={write} />
  }
  if (several) {
    const chosen = Array.isArray(value) ? value.map(String) : []
    return <Choices {...field} legend={label} choices={several.map((choice) => ({ value: String(choice) }))} chosen={chosen} onChange={(next) => onChange(next.length || isRequired ? next : undefined)} />
  }
  const isList = schema.type === 'array' && schema.items && (value === undefined || Array.isArray(value))
  const isObject = schema.properties && !schema.patternProperties && (value === undefined || isRecord(value))
  if (!isList && !isObject) return <JsonField {...field} rows={5} value={value} onChange={onChange} />
  if (value === undefined && !isRequired) return <Act says={textSaid.add(label)} onClick={() => onChange(skeleton(schema, root))} />
  return (
    <fieldset class="field part">
      <legend>{label}</legend>
      {isList ? <Items {...props} schema={schema} /> : <SchemaForm {...props} schema={schema} />}
      {!isRequired && <Act says={textSaid.remove(label)} onClick={() => onChange(undefined)} />}
    </fieldset>
  )
}

function Items({ label, schema: { items = {} }, root, value, path, failure, onChange }: NamedProps) {
  const given = Array.isArray(value) ? value : []
  const named = (place: number) => `${label} ${place + 1}`
  return (
    <>
      {given.map((item, place) => (
        <div key={place} class="group">
          <Place
            label={named(place)}
            isRequired
            schema={items}
            root={root}
            value={item}
            path={`${path}.${place}`}
            failure={failure}
            onChange={(next) => onChange(given.with(place, next))}
          />
          <Act says={textSaid.remove(named(place))} onClick={() => onChange(given.toSpliced(place, 1))} />
        </div>
      ))}
      <Issues issues={failure?.issues.filter((issue) => issue.path === path) ?? []} />
      <Act says={textSaid.add(named(given.length))} onClick={() => onChange([...given, skeleton(items, root)])} />
    </>
  )
}

function Act({ says, onClick }: { says: string; onClick: () => void }) {
  return (
    <div class="actions">
      <button type="button" class="button small" onClick={onClick}>
        {says}
      </button>
    </div>
  )
}

/** The number that is written; the text itself if it is none, or not yet, which the server then refuses. */
function numberIn(written: string): unknown {
  return String(Number(written)) === written ? Number(written) : written
}

function changed(given: Members, name: string, value: unknown): Members {
  const { [name]: _, ...others } = given
  return value === undefined ? others : { ...given, [name]: value }
}

const isRecord = (value: unknown): value is Members => typeof value === 'object' && value !== null && !Array.isArray(value)
