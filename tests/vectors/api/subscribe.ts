const webhook = {
  eventTypes: ['code.*', 'lead.*', 'contract.*'],
  webhookUrl: 'https://hooks.example/events',
  secret: 'whsec_xxxxxxxx',
  description: 'Everything that our team follows',
}
await fetch('https://events.example/v1/events/subscriptions', {
  method: 'POST',
  headers: { Authorization: 'Bearer YOUR_API_KEY', 'Content-Type': 'application/json' },
  body: JSON.stringify(webhook),
})
