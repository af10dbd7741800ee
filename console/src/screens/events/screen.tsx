import { Loaded } from '../../components/states'
import { Table, type Column } from '../../components/table'
import { Time } from '../../components/time'
import { Visible } from '../../components/visible'
import type { SynapEvent } from '../../contract'
import { useAccess } from '../../key'
import { useLoad } from '../../load'
import { text } from '../../text'

const COLUMNS: Column<SynapEvent>[] = [
  { id: 'time', name: text.events.time, kind: 'time', cell: ({ timestamp }) => <Time at={timestamp} /> },
  { id: 'type', name: text.events.type, cell: ({ type }) => <Visible>{type}</Visible> },
  { id: 'user', name: text.events.user, cell: ({ userId }) => <Visible>{userId}</Visible> },
]

/** The newest events of the log. */
export function EventsScreen() {
  const { api, workspace } = useAccess()
  const load = useLoad(workspace, (signal) => api.events.page.query({}, { signal }))
  return (
    <div class="page">
      <h1>{text.screens.events}</h1>
      <Loaded load={load}>
        {({ events }) => <Table caption={text.screens.events} columns={COLUMNS} rows={events} keyOf={({ id }) => id} />}
      </Loaded>
    </div>
  )
}
