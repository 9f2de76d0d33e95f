"""Forecasts with quantiles, of prices, hashprice, demand and temperature; a naive yardstick beside each."""
