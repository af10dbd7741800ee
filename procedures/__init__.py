"""The API: one module per operation, whose path is its wire name. It knows neither HTTP nor SQL."""
