-- A visit in the words of the shop; the row of a window is a record like any other.
function process(r)
  local from, to = time.parse(r.window_start), time.parse(r.window_end)
  r.minutes = round((to - from) / 60000 - 30, 1)   -- the gap at the end is no part of the visit
  r.kind = r.views == 1 and "bounce" or r.bought ~= null and "purchase" or "visit"
end
