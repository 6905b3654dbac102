# embed_files(OUTPUT ROOT): writes a C++ source that defines http::web_files(), every file under ROOT as bytes.
# The list is made at configure time; a changed file rewrites the source at the next build.
function(embed_files output root)
  file(GLOB_RECURSE files CONFIGURE_DEPENDS RELATIVE ${root} ${root}/*)
  list(SORT files)
  list(TRANSFORM files PREPEND ${root}/ OUTPUT_VARIABLE paths)
  add_custom_command(OUTPUT ${output}
    COMMAND ${CMAKE_COMMAND} -DOUTPUT=${output} -DROOT=${root} "-DFILES=${files}" -P ${CMAKE_SOURCE_DIR}/cmake/embed_run.cmake
    DEPENDS ${CMAKE_SOURCE_DIR}/cmake/embed_run.cmake ${paths}
    VERBATIM)
endfunction()
