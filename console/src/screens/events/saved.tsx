import { useState } from 'preact/hooks'
import { TextField } from '../../components/field'
import { Form } from '../../components/form'
import { Icon } from '../../components/icon'
import { Menu } from '../../components/menu'
import { Visible } from '../../components/visible'
import { changeQuery, currentRoute, go, to, type Query } from '../../router'
import { remembered } from '../../store'
import { words as columnsWords } from '../../text/columns'
import * as savedSaid from '../../text/saved'
import { words as savedWords } from '../../text/saved'
import { queryOf, viewOf } from './view'

interface Saved {
  name: string
  query: string
}

const isSaved = (value: unknown): value is Saved[] =>
  Array.isArray(value) && value.every((each) => typeof each?.name === 'string' && typeof each?.query === 'string')

const views = remembered<Saved[]>('views', [], isSaved)

/** Views that this browser remembers by name. */
export function SavedViews() {
  const saved = views.use()
  const [name, setName] = useState('')
  const save = () => {
    const given = name.trim()
    if (!given) return
    const { at: _, ...query } = queryOf(viewOf(currentRoute().query))
    const search = new URLSearchParams(Object.entries(query).filter((entry): entry is [string, string] => !!entry[1])).toString()
    views.set([...saved.filter((each) => each.name !== given), { name: given, query: search }])
    setName('')
  }
  return (
    <Menu label={savedWords.title} icon="bookmark">
      {(close) => (
        <>
          {saved.length === 0 && <p class="hint">{savedWords.none}</p>}
          <ul class="saved">
            {saved.map((each) => (
              <li key={each.name}>
                <button
                  type="button"
                  class="button quiet"
                  onClick={() => {
                    close()
                    go(to(['events'], Object.fromEntries(new URLSearchParams(each.query)) as Query))
                  }}
                >
                  <Visible>{each.name}</Visible>
                </button>
                <button
                  type="button"
                  class="button quiet icon-only"
                  aria-label={savedSaid.remove(each.name)}
                  onClick={() => views.set(saved.filter((other) => other !== each))}
                >
                  <Icon name="cross" />
                </button>
              </li>
            ))}
          </ul>
          <Form onSubmit={save}>
            <TextField label={savedWords.name} maxLength={100} spellcheck value={name} onText={setName} />
            <button type="submit" class="button">
              {savedWords.save}
            </button>
          </Form>
        </>
      )}
    </Menu>
  )
}

/** Which columns the table has; members of the data can be columns as well. */
export function ColumnsMenu({ columns, names }: { columns: string[]; names: Record<string, string> }) {
  const [path, setPath] = useState('')
  const set = (next: string[]) => changeQuery({ columns: queryOf({ ...viewOf(currentRoute().query), columns: next }).columns }, 'replace')
  const toggle = (name: string) => {
    const order = [...Object.keys(names), ...columns.filter((each) => !(each in names))]
    const next = columns.includes(name) ? columns.filter((each) => each !== name) : [...columns, name]
    set(next.toSorted((one, other) => order.indexOf(one) - order.indexOf(other)))
  }
  const add = () => {
    const name = `data.${path.trim().replace(/^data\./, '')}`
    if (!/^data(\.[^\s.]+)+$/.test(name) || columns.includes(name)) return
    const before = columns.includes('data') ? columns.indexOf('data') : columns.length
    set(columns.toSpliced(before, 0, name))
    setPath('')
  }
  return (
    <Menu label={columnsWords.title} icon="columns">
      <ul>
        {[...Object.keys(names), ...columns.filter((name) => !(name in names))].map((name) => (
          <li key={name}>
            <label class="choice">
              <input type="checkbox" checked={columns.includes(name)} disabled={name === 'time'} onChange={() => toggle(name)} />
              <Visible>{names[name] ?? name}</Visible>
            </label>
          </li>
        ))}
      </ul>
      <Form onSubmit={add}>
        <TextField label={columnsWords.member} hint={columnsWords.hint} maxLength={256} value={path} onText={setPath} />
        <button type="submit" class="button">
          {columnsWords.add}
        </button>
      </Form>
    </Menu>
  )
}
