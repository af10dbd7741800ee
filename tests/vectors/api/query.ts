const query = new URLSearchParams({ type: 'code.*', from: '2026-01-01T00:00:00Z', limit: '50' })
await fetch(`https://events.example/v1/events?${query}`, {
  headers: { Authorization: 'Bearer YOUR_API_KEY' },
})
