# tidemark_proto: the messages and services of proto/*.proto, generated into the build tree. Nobody reads this code, so
# nobody is warned about it.
find_package(Protobuf REQUIRED)
find_package(gRPC CONFIG REQUIRED)

set(proto_dir ${CMAKE_BINARY_DIR}/generated/proto)
file(MAKE_DIRECTORY ${proto_dir})
file(GLOB proto_files CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/proto/*.proto)
foreach(file IN LISTS proto_files)
  get_filename_component(name ${file} NAME_WE)
  set(outputs ${proto_dir}/${name}.pb.cc ${proto_dir}/${name}.pb.h ${proto_dir}/${name}.grpc.pb.cc
    ${proto_dir}/${name}.grpc.pb.h)
  add_custom_command(OUTPUT ${outputs}
    COMMAND protobuf::protoc -I ${CMAKE_SOURCE_DIR}/proto --cpp_out=${proto_dir} --grpc_out=${proto_dir}
      --plugin=protoc-gen-grpc=$<TARGET_FILE:gRPC::grpc_cpp_plugin> ${file}
    DEPENDS ${file}
    COMMENT "proto ${name}"
    VERBATIM)
  list(APPEND proto_sources ${outputs})
endforeach()

# The sources alone, for what reads headers and builds nothing (script/lint).
add_custom_target(proto_sources DEPENDS ${proto_sources})

add_library(tidemark_proto STATIC ${proto_sources})
target_link_libraries(tidemark_proto PUBLIC gRPC::grpc++ protobuf::libprotobuf PRIVATE tidemark_flags)
target_compile_options(tidemark_proto PRIVATE -w)
target_include_directories(tidemark_proto SYSTEM PUBLIC ${proto_dir})
