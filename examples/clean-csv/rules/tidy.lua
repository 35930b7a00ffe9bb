-- One customer in one way of writing: names, addresses, phones, dates and money.

-- "1,234.50" and "1.999,00 €" are amounts; the last point or comma is the decimal one.
local function amount(text)
  local digits = text:gsub("[^%d.,]", "")
  local whole, cents = digits:match("^([%d.,]*)[.,](%d%d?)$")
  if not whole then whole, cents = digits, "0" end
  whole = whole:gsub("[.,]", "")
  local value = tonumber(whole .. "." .. cents)
  if not value then return nil end
  return round(value, 2)
end

-- "24.12.2023", "01/03/2024" and "2024-03-01" are days; what is no day of the calendar is none.
local days = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}
local function day(text)
  local y, m, d = text:match("^(%d%d%d%d)-(%d%d)-(%d%d)$")
  if not y then d, m, y = text:match("^(%d%d?)[./](%d%d?)[./](%d%d%d%d)$") end
  y, m, d = tonumber(y or ""), tonumber(m or ""), tonumber(d or "")
  if not y or not days[m] then return nil end
  local last = days[m]
  if m == 2 and y % 4 == 0 and (y % 100 ~= 0 or y % 400 == 0) then last = 29 end
  if d < 1 or d > last then return nil end
  return string.format("%04d-%02d-%02d", y, m, d)
end

-- Digits behind a country code; a number without one is German.
local function phone(text)
  local plus = text:find("^%s*%+") ~= nil
  local digits = text:gsub("%(0%)", "0"):gsub("%D", "")
  if digits == "" then return null end
  if plus then return "+" .. digits end
  if digits:sub(1, 2) == "00" then return "+" .. digits:sub(3) end
  return "+49" .. digits:gsub("^0", "")
end

function process(r)
  r.id = tonumber(r.id)
  r.name = r.name:gsub("^%s+", ""):gsub("%s+$", ""):gsub("%s+", " ")
  r.email = r.email:lower():gsub("%s", "")
  if not r.email:find("^[^@]+@[^@]+%.[^@]+$") then return reject("no e-mail address", "email") end
  r.phone = phone(r.phone)
  local since, spent = day(r.since), amount(r.spent)
  if not since then return reject("no day of the calendar", "since") end
  if not spent then return reject("no amount", "spent") end
  r.since, r.spent = since, spent
end
