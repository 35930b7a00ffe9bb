-- Clicks of visitors who come in waves, a little out of order: generate(i) is called with 0, 1, 2, …
local pages = {"/", "/search", "/shoes", "/shirts", "/cart", "/checkout"}
local start = time.parse("2025-03-29T20:00:00Z")

function generate(i)
  local wave = i // 150
  local at = start + i * 15000 - math.random(0, 20000)
  if math.random() < 0.002 then at = at - 7200000 end          -- a phone that was offline
  local page = pages[math.random(#pages)]
  local view = {
    visitor = string.format("v%03d", (wave * 3 + math.random(8)) % 50),
    at = time.format(at),
    page = page,
    status = math.random() < 0.01 and 503 or 200,
    load_ms = math.random(40, 900),
  }
  if page == "/checkout" and math.random() < 0.4 then view.amount = math.random(10, 200) end
  if math.random() < 0.001 then view.at = "yesterday" end      -- a clock that nobody can read
  return view
end
