-- Business rules, after the schema was checked.
function process(r)
  if r.status == "completed" and r.size_bytes == 0 then
    return reject("a completed video cannot be empty", "size_bytes")
  end
end
