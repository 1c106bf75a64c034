# Two stages: one compiles, the other has only what the binary needs to run.
#
#   docker build -t weir . && docker run --rm -p 5000:5000 weir
FROM debian:bookworm-slim AS build
WORKDIR /src
COPY scripts/deps.sh scripts/deps.sh
RUN bash scripts/deps.sh build
COPY CMakeLists.txt CMakePresets.json LICENSE ./
COPY cmake cmake
COPY docs docs
COPY gateway gateway
COPY plugins plugins
COPY conf conf
COPY www www
RUN cmake --preset release -G Ninja && cmake --build --preset release && strip build/release/weir

FROM debian:bookworm-slim
COPY scripts/deps.sh scripts/healthcheck.sh /usr/local/lib/weir/
RUN bash /usr/local/lib/weir/deps.sh runtime && rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin \
    && useradd --system --uid 10001 --home-dir /srv/weir --shell /usr/sbin/nologin weir
WORKDIR /srv/weir
# conf/weir.yaml names plugins/ and www/ relative to the working directory.
COPY conf conf
COPY plugins plugins
COPY www www
COPY --from=build /src/build/release/weir /usr/local/bin/weir
USER weir
EXPOSE 5000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=5s --retries=3 \
    CMD ["bash", "/usr/local/lib/weir/healthcheck.sh"]
ENTRYPOINT ["weir"]
CMD ["-c", "conf/weir.yaml"]
