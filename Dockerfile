# Two stages: one compiles, the other has only what the binary needs to run.
#
#   docker build -t weir . && docker run --rm -p 5000:5000 weir
FROM debian:bookworm-slim AS build
WORKDIR /src
COPY scripts/deps.sh scripts/deps.sh
RUN bash scripts/deps.sh build
COPY CMakeLists.txt CMakePresets.json ./
COPY cmake cmake
COPY gateway gateway
COPY plugins plugins
RUN cmake --preset release -G Ninja && cmake --build --preset release && strip build/release/weir

FROM debian:bookworm-slim
COPY scripts/deps.sh scripts/healthcheck.sh /usr/local/lib/weir/
RUN bash /usr/local/lib/weir/deps.sh runtime && rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin \
    && groupadd --gid 10001 weir \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /srv/weir --shell /usr/sbin/nologin weir
COPY LICENSE /usr/local/share/doc/weir/LICENSE
WORKDIR /srv/weir
# conf/weir.yaml names plugins/ and www/ relative to the working directory.
COPY conf conf
COPY plugins plugins
COPY www www
COPY --from=build /src/build/release/weir /usr/local/bin/weir
# For conf/native.yaml: the native plugins among plugins/, built.
COPY --from=build /src/build/release/plugins /usr/local/lib/weir/plugins
ENV WEIR_NATIVE_PLUGINS=/usr/local/lib/weir/plugins
# By number, so that an orchestrator can see that it is not root.
USER 10001:10001
EXPOSE 5000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=5s --retries=3 \
    CMD ["bash", "/usr/local/lib/weir/healthcheck.sh"]
ENTRYPOINT ["weir"]
CMD ["-c", "conf/weir.yaml"]
